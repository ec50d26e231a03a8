// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/dataset.h"

#include <cstring>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

// Of the shape of `count` rows of a tensor.
Dims RowsShape(const Dims& whole, int64_t count) {
  Dims shape = whole;
  shape[0] = count;
  return shape;
}

Tensor Gather(const Tensor& whole, const std::vector<int64_t>& rows) {
  Tensor part(whole.dtype(), RowsShape(whole.shape(), std::ssize(rows)));
  const Dims row_shape = RowsShape(whole.shape(), 1);
  const auto row_bytes = static_cast<size_t>(SizeOf(row_shape) * ElementSize(whole.dtype()));
  if (row_bytes == 0) return part;
  std::byte* to = part.bytes().data();
  for (const int64_t row : rows) {
    std::memcpy(to, whole.bytes().data() + static_cast<size_t>(row) * row_bytes, row_bytes);
    to += row_bytes;
  }
  return part;
}

Status CheckTensors(const std::vector<std::string>& names, const std::vector<Tensor>& tensors) {
  if (tensors.empty() || names.size() != tensors.size()) {
    return InvalidInput(
        Format("a dataset of {} and {}; it takes a name for each tensor, and one "
               "tensor at least",
               Count(std::ssize(tensors), "tensor"), Count(std::ssize(names), "name")));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Dims& shape = tensors[i].shape();
    if (shape.empty()) {
      return InvalidInput(Format("{}: a number, []; dim 0 of a dataset's tensors counts rows",
                                 Printable(names[i])));
    }
    if (shape[0] != tensors[0].shape()[0]) {
      return InvalidInput(Format("{} has {}, and {} has {}; row i of each belongs together",
                                 Printable(names[i]), Count(shape[0], "row"), Printable(names[0]),
                                 tensors[0].shape()[0]));
    }
  }
  return OkStatus();
}

}  // namespace

Result<TensorDataset> TensorDataset::Create(std::vector<std::string> names,
                                            std::vector<Tensor> tensors,
                                            const BatchOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckTensors(names, tensors));
  RELAYOUT_ASSIGN_OR_RETURN(const BatchRows rows,
                            BatchRows::Create(tensors[0].shape()[0], options));
  auto data = std::make_shared<Data>();
  data->names = std::move(names);
  data->tensors = std::move(tensors);
  return TensorDataset(std::move(data), rows);
}

Result<TensorDataset> TensorDataset::With(const BatchOptions& options) const {
  RELAYOUT_ASSIGN_OR_RETURN(const BatchRows rows, BatchRows::Create(rows_.row_count(), options));
  return TensorDataset(data_, rows);
}

std::vector<TensorType> TensorDataset::types() const {
  std::vector<TensorType> types;
  for (const Tensor& tensor : data_->tensors) {
    types.push_back({tensor.dtype(), RowsShape(tensor.shape(), rows_.options().batch_size)});
  }
  return types;
}

Result<std::vector<Tensor>> TensorDataset::Batch(int64_t epoch, int64_t index) const {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> rows, rows_.Of(epoch, index));
  std::vector<Tensor> batch;
  for (const Tensor& tensor : data_->tensors) batch.push_back(Gather(tensor, rows));
  return batch;
}

}  // namespace relayout
