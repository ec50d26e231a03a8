// SPDX-License-Identifier: Apache-2.0
//
// A checkpoint that is open for reading: values by name, and boxes of them into the caller's
// memory.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <span>

#include "python/src/bindings.h"
#include "python/src/run.h"
#include "python/src/set_spec.h"
#include "python/src/text.h"
#include "relayout/base/parallel.h"
#include "relayout/base/text.h"
#include "relayout/convert/checkpoint_reader.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// What is read at a time between two looks at signals.
constexpr int64_t kPieceBytes = int64_t{64} << 20;

struct OpenCheckpoint {
  std::unique_ptr<FileSystem> fs;
  std::unique_ptr<CheckpointReader> reader;
};

std::shared_ptr<OpenCheckpoint> Open(const CheckpointSetSpec& spec, int threads) {
  auto checkpoint = std::make_shared<OpenCheckpoint>();
  checkpoint->fs = NewPosixFileSystem();
  using Reader = std::unique_ptr<CheckpointReader>;
  checkpoint->reader = RunBriefly<Reader>([&] {
    return CheckpointReader::Open(*checkpoint->fs, spec,
                                  threads == 0 ? DefaultThreadCount() : threads);
  });
  return checkpoint;
}

// Memory of another Python object, to be written to.
class WritableBuffer {
 public:
  explicit WritableBuffer(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_WRITABLE) != 0) throw nb::python_error();
  }
  ~WritableBuffer() { PyBuffer_Release(&view_); }
  WritableBuffer(const WritableBuffer&) = delete;
  WritableBuffer& operator=(const WritableBuffer&) = delete;

  std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_ = {};
};

// [begin, end) as a box of `value`.
Box BoxOf(const ReadableValue& value, const std::vector<int64_t>& begin,
          const std::vector<int64_t>& end) {
  const Dims& shape = value.source.shape;
  Box box;
  bool is_inside = begin.size() == shape.size() && end.size() == shape.size();
  for (size_t d = 0; is_inside && d < shape.size(); ++d) {
    is_inside = 0 <= begin[d] && begin[d] <= end[d] && end[d] <= shape[d];
    box.begin.push_back(begin[d]);
    box.end.push_back(end[d]);
  }
  if (is_inside) return box;
  throw StatusError(
      InvalidInput(Format("{}: no such part of {}", Printable(value.name), ToText(shape))));
}

// Reads `box`, halving it along its first dimension that has more than one index while it is large:
// the halves' bytes then follow each other. Between the pieces Ctrl-C is heard.
void ReadInPieces(CheckpointReader& reader, const ReadableValue& value, const Box& box,
                  std::span<std::byte> bytes) {
  size_t d = 0;
  while (d < box.begin.size() && box.end[d] - box.begin[d] <= 1) ++d;
  if (std::ssize(bytes) <= kPieceBytes || d == box.begin.size()) {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    Status status;
    {
      const nb::gil_scoped_release unlocked;
      status = reader.Read(value, box, bytes);
    }
    ThrowIfFailed(status);
    return;
  }
  const int64_t middle = (box.begin[d] + box.end[d]) / 2;
  Box first = box;
  Box second = box;
  first.end[d] = middle;
  second.begin[d] = middle;
  const auto size = static_cast<size_t>(first.volume() * ElementSize(value.source.dtype));
  ReadInPieces(reader, value, first, bytes.first(size));
  ReadInPieces(reader, value, second, bytes.subspan(size));
}

// Fills `buffer` with the elements of [begin, end).
void Read(const OpenCheckpoint& checkpoint, const ReadableValue& value,
          const std::vector<int64_t>& begin, const std::vector<int64_t>& end, nb::handle buffer) {
  const Box box = BoxOf(value, begin, end);
  const WritableBuffer target(buffer);
  const int64_t size_bytes = box.volume() * ElementSize(value.source.dtype);
  if (std::ssize(target.bytes()) != size_bytes) {
    throw StatusError(
        InvalidInput(Format("{}: {} has {} bytes, the buffer {}", Printable(value.name),
                            ToText(box), size_bytes, target.bytes().size())));
  }
  if (size_bytes > 0) ReadInPieces(*checkpoint.reader, value, box, target.bytes());
}

nb::list PlacementsOf(const ReadableValue& value) {
  nb::list placements;
  for (const Placement& placement : value.source.placements) {
    placements.append(nb::make_tuple(placement.stage, placement.first_rank, placement.layout()));
  }
  return placements;
}

std::vector<std::string> NamesOf(const OpenCheckpoint& checkpoint) {
  std::vector<std::string> names;
  for (const std::string_view name : checkpoint.reader->set().catalog.names()) {
    names.emplace_back(name);
  }
  return names;
}

nb::list NotesOf(const OpenCheckpoint& checkpoint) {
  nb::list notes;
  for (const std::string& note : checkpoint.reader->set().notes)
    notes.append(TextFromMessage(note));
  return notes;
}

nb::dict FilesOf(const OpenCheckpoint& checkpoint) {
  nb::dict files;
  for (const RankFile& file : checkpoint.reader->set().catalog.files()) {
    files[nb::int_(file.rank)] = PathToPython(file.path);
  }
  return files;
}

// A DLPack capsule of the memory of `buffer`, which it keeps alive.
nb::object DLPack(nb::handle buffer, int code, int bits, const std::vector<size_t>& shape) {
  const WritableBuffer memory(buffer);
  const nb::dlpack::dtype dtype{
      .code = static_cast<uint8_t>(code), .bits = static_cast<uint8_t>(bits), .lanes = 1};
  return nb::cast(nb::ndarray<>(memory.bytes().data(), shape.size(), shape.data(), buffer, nullptr,
                                dtype, nb::device::cpu::value, 0));
}

void BindValue(nb::module_& module) {
  nb::class_<ReadableValue>(module, "Value", "See relayout/convert/checkpoint_reader.h.")
      .def_ro("name", &ReadableValue::name)
      .def_prop_ro("is_string",
                   [](const ReadableValue& self) { return self.source.kind == ValueKind::kString; })
      .def_prop_ro(
          "dtype",
          [](const ReadableValue& self) { return std::string(ShortName(self.source.dtype)); })
      .def_prop_ro("item_bytes",
                   [](const ReadableValue& self) { return ElementSize(self.source.dtype); })
      .def_prop_ro("shape", [](const ReadableValue& self) { return TupleOf(self.source.shape); })
      // The layouts are copies, so the list may outlive the checkpoint.
      .def("placements", &PlacementsOf);
}

}  // namespace

void BindCheckpoint(nb::module_& module) {
  BindValue(module);
  nb::class_<OpenCheckpoint>(module, "Checkpoint", "See relayout/convert/checkpoint_reader.h.")
      .def_prop_ro("files", &FilesOf)
      .def_prop_ro("format", [](const OpenCheckpoint& self) { return self.reader->set().format; })
      .def_prop_ro("step",
                   [](const OpenCheckpoint& self) { return StepToPython(self.reader->set().step); })
      .def_prop_ro(
          "missing_ranks",
          [](const OpenCheckpoint& self) { return TupleOf(self.reader->set().missing_ranks); })
      .def_prop_ro("notes", &NotesOf)
      .def_prop_ro("has_strategy",
                   [](const OpenCheckpoint& self) { return self.reader->set().has_strategy; })
      .def_prop_ro(
          "strategy",
          [](const OpenCheckpoint& self) -> const Strategy& { return self.reader->set().strategy; },
          nb::rv_policy::reference_internal)
      .def_prop_ro(
          "name_count",
          [](const OpenCheckpoint& self) { return self.reader->set().catalog.names().size(); })
      .def("names", &NamesOf)
      .def(
          "contains",
          [](const OpenCheckpoint& self, std::string_view name) {
            return self.reader->set().catalog.Contains(name);
          },
          nb::arg("name"))
      .def(
          "describe",
          [](const OpenCheckpoint& self, std::string_view name) {
            return ValueOrThrow(self.reader->Describe(name));
          },
          nb::arg("name"), nb::keep_alive<0, 1>())
      .def("read", &Read, nb::arg("value"), nb::arg("begin"), nb::arg("end"), nb::arg("buffer"));
  module.def("open", &Open, nb::arg("spec"), nb::arg("threads"));
  module.def("dlpack", &DLPack, nb::arg("buffer"), nb::arg("code"), nb::arg("bits"),
             nb::arg("shape"));
}

}  // namespace relayout::python
