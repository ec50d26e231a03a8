// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/batch_rules.h"

#include "relayout/base/text.h"

namespace relayout {
namespace {

std::string TypeText(DType dtype, const Dims& shape) {
  return Format("{}{}", ShortName(dtype), ToText(shape));
}

Status CheckTypes(const BatchRules& rules, const std::vector<Tensor>& batch) {
  if (batch.size() != rules.types.size()) {
    return InvalidInput(Format("the batch has {}, but the network was built for {}",
                               Count(std::ssize(batch), "tensor"), rules.types.size()));
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    const TensorType& wanted = rules.types[i];
    if (batch[i].dtype() == wanted.dtype && batch[i].shape() == wanted.shape) continue;
    return InvalidInput(
        Format("{} is {}, but the network was built for {}", Printable(rules.names[i]),
               TypeText(batch[i].dtype(), batch[i].shape()), TypeText(wanted.dtype, wanted.shape)));
  }
  return OkStatus();
}

Status CheckClasses(const BatchRules& rules, const Tensor& labels) {
  for (int64_t row = 0; row < labels.size(); ++row) {
    const int32_t label = labels.i32().data[row];
    if (label == rules.ignored || (label >= 0 && label < rules.class_count)) continue;
    return InvalidInput(Format("{}: row {} is {}, which is none of the {} classes",
                               Printable(rules.names.back()), row, label, rules.class_count));
  }
  return OkStatus();
}

}  // namespace

Status CheckBatch(const BatchRules& rules, const std::vector<Tensor>& batch) {
  RELAYOUT_RETURN_IF_ERROR(CheckTypes(rules, batch));
  const bool has_classes = rules.class_count > 0 && rules.types.back().dtype == DType::kInt32;
  return has_classes ? CheckClasses(rules, batch.back()) : OkStatus();
}

}  // namespace relayout
