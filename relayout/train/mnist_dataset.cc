// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/mnist_dataset.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"

namespace relayout {
namespace {

struct PartNames {
  const char* prefix;  // Of the files.
  const char* folder;  // In MindSpore's tutorials.
};

PartNames NamesOf(MnistPart part) {
  return part == MnistPart::kTrain ? PartNames{"train", "train"} : PartNames{"t10k", "test"};
}

struct MnistFiles {
  std::string images;
  std::string labels;
};

// The first that is there of the ways to write "train-images-idx3-ubyte".
Result<std::optional<std::string>> FindFile(FileSystem& fs, const std::string& directory,
                                            const std::string& stem, const char* ending) {
  for (const char* dot : {"-", "."}) {
    for (const char* suffix : {"", ".gz"}) {
      const std::string path = JoinPath(directory, Format("{}{}{}{}", stem, dot, ending, suffix));
      const auto info = fs.Stat(path);
      if (info.ok() && info->kind == FileKind::kFile) return std::optional(path);
      if (!info.ok() && info.status().code() != StatusCode::kNotFound) return info.status();
    }
  }
  return std::optional<std::string>();
}

Status NoFiles(const std::string& directory, const PartNames& names,
               const std::vector<std::string>& looked_in, const std::vector<std::string>& found) {
  std::string halves;
  for (const std::string& path : found) halves += Format(" {} is there alone.", path);
  return NotFound(Format(
      "{}: no {}ing data of MNIST. Looked for {}-images-idx3-ubyte and {}-labels-idx1-ubyte, also "
      "with . before idx and .gz at the end, in {}.{} Name the folder with these files, or the one "
      "with train/ and test/ (DATA_PATH); make_data makes some.",
      directory, names.folder, names.prefix, names.prefix, JoinLimited(looked_in), halves));
}

Result<MnistFiles> FindFiles(FileSystem& fs, const std::string& directory, MnistPart part) {
  const PartNames names = NamesOf(part);
  const std::vector<std::string> folders = {directory, JoinPath(directory, names.folder)};
  std::vector<std::string> found;
  for (const std::string& folder : folders) {
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto images, FindFile(fs, folder, Format("{}-images", names.prefix), "idx3-ubyte"));
    RELAYOUT_ASSIGN_OR_RETURN(
        const auto labels, FindFile(fs, folder, Format("{}-labels", names.prefix), "idx1-ubyte"));
    if (images && labels) return MnistFiles{*images, *labels};
    if (images || labels) found.push_back(images ? *images : *labels);
  }
  return NoFiles(directory, names, folders, found);
}

Status CheckArrays(const IdxArray& images, const IdxArray& labels) {
  const Dims& shape = images.shape;
  RELAYOUT_CHECK(shape.size() == 3 && labels.shape.size() == 1);
  RELAYOUT_CHECK(ElementCount(shape) == std::ssize(images.values));
  RELAYOUT_CHECK(labels.shape[0] == std::ssize(labels.values));
  if (shape[0] != labels.shape[0]) {
    return InvalidInput(Format("{} and {}; the files belong to different sets, take them from one",
                               Count(shape[0], "image"), Count(labels.shape[0], "label")));
  }
  if (shape[1] == 0 || shape[2] == 0) {
    return InvalidInput(Format("images without pixels, {}", ToText(shape)));
  }
  return OkStatus();
}

using PixelTable = std::array<float, 256>;

PixelTable MakePixelTable() {
  PixelTable table{};
  for (size_t byte = 0; byte < table.size(); ++byte) {
    const float scaled = static_cast<float>(byte) / 255.0F;
    table[byte] = (scaled - 0.1307F) / 0.3081F;
  }
  return table;
}

void ConvertPixels(std::span<const uint8_t> bytes, const PixelTable& table, float* pixels) {
  for (size_t i = 0; i < bytes.size(); ++i) pixels[i] = table[bytes[i]];
}

}  // namespace

Result<MnistDataset> MnistDataset::Open(FileSystem& fs, const std::string& directory,
                                        MnistPart part, const BatchOptions& options) {
  RELAYOUT_ASSIGN_OR_RETURN(const MnistFiles files, FindFiles(fs, directory, part));
  RELAYOUT_ASSIGN_OR_RETURN(IdxArray images, ReadIdxFile(fs, files.images, 3));
  RELAYOUT_ASSIGN_OR_RETURN(IdxArray labels, ReadIdxFile(fs, files.labels, 1));
  auto dataset = FromArrays(std::move(images), std::move(labels), options);
  if (!dataset.ok()) return dataset.status().WithContext(files.images);
  return dataset;
}

Result<MnistDataset> MnistDataset::FromArrays(IdxArray images, IdxArray labels,
                                              const BatchOptions& options) {
  RELAYOUT_RETURN_IF_ERROR(CheckArrays(images, labels));
  RELAYOUT_ASSIGN_OR_RETURN(const BatchRows rows, BatchRows::Create(images.shape[0], options));
  auto data = std::make_shared<Data>();
  data->images = std::move(images);
  data->labels = std::move(labels);
  return MnistDataset(std::move(data), rows);
}

Result<MnistDataset> MnistDataset::With(const BatchOptions& options) const {
  RELAYOUT_ASSIGN_OR_RETURN(const BatchRows rows, BatchRows::Create(rows_.row_count(), options));
  return MnistDataset(data_, rows);
}

Dims MnistDataset::ImageShape(int64_t count) const {
  return {count, 1, data_->images.shape[1], data_->images.shape[2]};
}

std::vector<std::string> MnistDataset::names() const { return {"image", "label"}; }

std::vector<TensorType> MnistDataset::types() const {
  const int64_t count = rows_.options().batch_size;
  return {{DType::kFloat32, ImageShape(count)}, {DType::kInt32, {count}}};
}

Result<std::vector<Tensor>> MnistDataset::Batch(int64_t epoch, int64_t index) const {
  static const PixelTable kTable = MakePixelTable();
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> rows, rows_.Of(epoch, index));
  Tensor images(DType::kFloat32, ImageShape(std::ssize(rows)));
  Tensor labels(DType::kInt32, {std::ssize(rows)});
  const std::span<const uint8_t> bytes = data_->images.values;
  const auto image_size = static_cast<size_t>(SizeOf(ImageShape(1)));
  float* pixels = images.f32().data;
  int32_t* label = labels.i32().data;
  for (const int64_t row : rows) {
    const auto position = static_cast<size_t>(row);
    ConvertPixels(bytes.subspan(position * image_size, image_size), kTable, pixels);
    pixels += image_size;
    *label++ = data_->labels.values[position];
  }
  std::vector<Tensor> batch;
  batch.push_back(std::move(images));
  batch.push_back(std::move(labels));
  return batch;
}

}  // namespace relayout
