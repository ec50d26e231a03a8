// SPDX-License-Identifier: Apache-2.0
#include "relayout/graph/mindir_parameters.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/mindir_values.h"

namespace relayout {
namespace {

// A path that stays in the folder: the file may come from anywhere.
bool StaysInside(const std::string& path) {
  if (path.empty() || path.front() == '/') return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return false;
    begin = end + 1;
  }
  return true;
}

std::string PathBeside(const std::string& path, const std::string& file) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? file : path.substr(0, slash + 1).append(file);
}

}  // namespace

Result<MindirParameters> MindirParameters::Open(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(std::string file_path, FindMindir(fs, path));
  RELAYOUT_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, fs.OpenForRead(file_path));
  const Result<MindirModel> model = ReadMindirModel(*file);
  if (!model.ok()) return model.status().WithContext(file_path);
  MindirParameters opened(fs, std::move(file_path));
  for (const MindirTensor& tensor : model->graph.parameters) {
    const std::string name = mindir::ParameterName(tensor, model->graph);
    const Result<TensorType> type =
        mindir::TypeOf(tensor, Format("parameter '{}'", Printable(name)));
    const Status added = type.ok() ? opened.Add(name, *type, tensor) : type.status();
    if (!added.ok()) return added.WithContext(opened.path_);
  }
  return opened;
}

Status MindirParameters::Add(std::string name, const TensorType& type, const MindirTensor& tensor) {
  const int64_t elements = ElementCount(type.shape).value_or(0);
  MindirPlace place = tensor.place.value_or(MindirPlace());
  const int64_t element_bytes = ElementSize(type.dtype);
  if (!tensor.place && elements > 0) {
    return InvalidInput(Format(
        "parameter '{}' has no values in the file; export the network with them", Printable(name)));
  }
  if (place.size_bytes % element_bytes != 0 || place.size_bytes / element_bytes != elements) {
    return InvalidInput(Format("parameter '{}' {}{} has {} bytes", Printable(name),
                               ShortName(type.dtype), ToText(type.shape), place.size_bytes));
  }
  if (place.begin_bytes < 0 || (!place.file.empty() && !StaysInside(place.file))) {
    return InvalidInput(
        Format("parameter '{}' lies at byte {} of '{}', outside of the network's "
               "folder",
               Printable(name), place.begin_bytes, Printable(place.file)));
  }
  parameters_.push_back({std::move(name), type, std::move(place)});
  return OkStatus();
}

const MindirParameter* MindirParameters::Find(std::string_view name) const {
  const auto found =
      std::find_if(parameters_.begin(), parameters_.end(),
                   [&](const MindirParameter& parameter) { return parameter.name == name; });
  return found == parameters_.end() ? nullptr : &*found;
}

Status MindirParameters::Read(const MindirParameter& parameter, std::span<std::byte> target) const {
  RELAYOUT_CHECK(std::ssize(target) == parameter.size_bytes());
  if (target.empty()) return OkStatus();
  const MindirPlace& place = parameter.place;
  const std::string path = place.file.empty() ? path_ : PathBeside(path_, place.file);
  const auto context = Format("parameter '{}'", Printable(parameter.name));
  const Result<std::unique_ptr<ReadableFile>> file = fs_->OpenForRead(path);
  if (!file.ok()) return file.status().WithContext(context);
  if (place.size_bytes > (*file)->size_bytes() ||
      place.begin_bytes > (*file)->size_bytes() - place.size_bytes) {
    return InvalidInput(Format("{}: {} would be the {} bytes from byte {} on; the file has {}",
                               path, context, place.size_bytes, place.begin_bytes,
                               (*file)->size_bytes()));
  }
  return (*file)->ReadAt(place.begin_bytes, target).WithContext(context);
}

}  // namespace relayout
