// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>
#include <optional>

#include "python/src/errors.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "python/src/train/arrays.h"
#include "python/src/train/bindings.h"
#include "python/src/train/checkpoints.h"
#include "python/src/train/python_failure.h"
#include "relayout/base/text.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/train/load_checkpoint.h"
#include "relayout/train/load_mindir.h"
#include "relayout/train/save_checkpoint.h"

namespace nb = nanobind;

namespace relayout::python {

FileSystem& Files() {
  static FileSystem& files = *NewPosixFileSystem().release();
  return files;
}

CheckpointValue ValueFromPython(const nb::tuple& value) {
  auto name = nb::cast<std::string>(value[0]);
  const auto type = nb::cast<std::string>(value[1]);
  if (type == "int") return IntegerValue(std::move(name), nb::cast<int64_t>(value[3]));
  if (type == "float") return NumberValue(std::move(name), nb::cast<float>(value[3]));
  if (type == "bool") return BoolValue(std::move(name), nb::cast<bool>(value[3]));
  if (type == "text") return TextValue(std::move(name), nb::cast<std::string>(value[3]));
  const std::optional<DType> dtype = DTypeFromShortName(type);
  if (!dtype) ThrowIfFailed(InvalidInput(Format("{}: {} is no element type", name, type)));
  const auto bytes = nb::cast<nb::bytes>(value[3]);
  CheckpointValue made{.name = std::move(name),
                       .dtype = *dtype,
                       .shape = DimsOf(nb::cast<std::vector<int64_t>>(value[2])),
                       .bytes = std::vector<std::byte>(bytes.size())};
  std::memcpy(made.bytes.data(), bytes.c_str(), bytes.size());
  return made;
}

namespace {

std::vector<CheckpointValue> ValuesFromPython(const nb::list& values) {
  std::vector<CheckpointValue> made;
  for (const nb::handle value : values) made.push_back(ValueFromPython(nb::cast<nb::tuple>(value)));
  return made;
}

std::shared_ptr<LoadedCheckpoint> Load(nb::handle path, std::vector<std::string> specify_prefix,
                                       std::vector<std::string> filter_prefix, nb::handle choose) {
  const std::string file = PathFromPython(path);
  PythonFailure failure;
  LoadCheckpointOptions options{.specify_prefix = std::move(specify_prefix),
                                .filter_prefix = std::move(filter_prefix)};
  if (!choose.is_none()) {
    options.choice_func = [&](std::string_view name) -> bool {
      const nb::gil_scoped_acquire locked;
      bool is_chosen = false;
      if (failure.kept().is_valid()) return false;
      return failure
                 .Guard([&] { is_chosen = nb::cast<bool>(nb::bool_(choose(std::string(name)))); })
                 .ok() &&
             is_chosen;
    };
  }
  std::optional<Result<LoadedCheckpoint>> loaded;
  {
    const nb::gil_scoped_release unlocked;
    loaded.emplace(LoadCheckpoint(Files(), file, options));
  }
  failure.Raise();
  return std::make_shared<LoadedCheckpoint>(ValueOrThrow(*std::move(loaded)));
}

std::shared_ptr<LoadedCheckpoint> LoadNetworkValues(nb::handle path) {
  const std::string file = PathFromPython(path);
  return std::make_shared<LoadedCheckpoint>(
      RunBriefly<LoadedCheckpoint>([&] { return LoadMindir(Files(), file); }));
}

// What a program made up; `path` is what messages call it.
std::shared_ptr<LoadedCheckpoint> FromValues(const std::string& path, const nb::list& values) {
  return std::make_shared<LoadedCheckpoint>(
      LoadedCheckpoint{.path = path, .values = ValuesFromPython(values)});
}

nb::list NamesOf(const LoadedCheckpoint& checkpoint) {
  nb::list names;
  for (const CheckpointValue& value : checkpoint.values) names.append(TextFromMessage(value.name));
  return names;
}

// The str, or (dtype, shape, bytes); None when there is none of this name.
nb::object ValueOf(const LoadedCheckpoint& checkpoint, const std::string& name) {
  const CheckpointValue* const value = checkpoint.Find(name);
  if (value == nullptr) return nb::none();
  if (const std::optional<std::string> text = TextOf(*value)) return TextFromMessage(*text);
  return nb::make_tuple(std::string(ShortName(value->dtype)), TupleOf(value->shape),
                        nb::bytes(value->bytes.data(), value->bytes.size()));
}

void Save(nb::handle path, const nb::list& values) {
  const std::string file = PathFromPython(path);
  const std::vector<CheckpointValue> made = ValuesFromPython(values);
  RunBriefly<bool>([&]() -> Result<bool> {
    RELAYOUT_RETURN_IF_ERROR(SaveCheckpoint(Files(), file, made));
    return true;
  });
}

}  // namespace

void BindFiles(nb::module_& module) {
  nb::class_<LoadedCheckpoint>(module, "LoadedCheckpoint", "See relayout/train/load_checkpoint.h.")
      .def_prop_ro("path", [](const LoadedCheckpoint& self) { return PathToPython(self.path); })
      .def("names", &NamesOf)
      .def("value", &ValueOf, nb::arg("name"));
  module.def("load_checkpoint", &Load, nb::arg("path"), nb::arg("specify_prefix"),
             nb::arg("filter_prefix"), nb::arg("choose").none());
  module.def("load_mindir", &LoadNetworkValues, nb::arg("path"));
  module.def("checkpoint_of", &FromValues, nb::arg("path"), nb::arg("values"));
  module.def("save_checkpoint", &Save, nb::arg("path"), nb::arg("values"));
}

}  // namespace relayout::python
