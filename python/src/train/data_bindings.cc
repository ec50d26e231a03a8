// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "python/src/errors.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "python/src/train/arrays.h"
#include "python/src/train/bindings.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/train/mnist_dataset.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// (name, dtype, shape) of each tensor of a batch.
nb::list TypesOf(const Dataset& dataset) {
  nb::list list;
  const std::vector<std::string> names = dataset.names();
  const std::vector<TensorType> types = dataset.types();
  for (size_t i = 0; i < names.size(); ++i) {
    list.append(nb::make_tuple(TextFromMessage(names[i]), std::string(ShortName(types[i].dtype)),
                               TupleOf(types[i].shape)));
  }
  return list;
}

// The arrays of a batch.
nb::list BatchOf(const Dataset& dataset, int64_t epoch, int64_t index) {
  auto tensors = RunBriefly<std::vector<Tensor>>([&] { return dataset.Batch(epoch, index); });
  nb::list arrays;
  for (Tensor& tensor : tensors) arrays.append(ArrayOf(std::move(tensor)));
  return arrays;
}

std::shared_ptr<TensorDataset> FromArrays(const std::vector<std::pair<std::string, Array>>& arrays,
                                          const BatchOptions& options) {
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
  for (const auto& [name, array] : arrays) {
    names.push_back(name);
    tensors.push_back(TensorOf(name, array));
  }
  return std::make_shared<TensorDataset>(
      ValueOrThrow(TensorDataset::Create(std::move(names), std::move(tensors), options)));
}

std::shared_ptr<MnistDataset> OpenMnist(nb::handle directory, bool is_train,
                                        const BatchOptions& options) {
  const std::string path = PathFromPython(directory);
  return std::make_shared<MnistDataset>(RunBriefly<MnistDataset>([&] {
    const auto fs = NewPosixFileSystem();
    return MnistDataset::Open(*fs, path, is_train ? MnistPart::kTrain : MnistPart::kTest, options);
  }));
}

template <typename T>
std::shared_ptr<T> With(const T& dataset, const BatchOptions& options) {
  return std::make_shared<T>(ValueOrThrow(dataset.With(options)));
}

}  // namespace

void BindData(nb::module_& module) {
  nb::class_<BatchOptions>(module, "BatchOptions", "See relayout/train/batch_rows.h.")
      .def(
          "__init__",
          [](BatchOptions* self, int64_t batch_size, bool drop_remainder,
             std::optional<uint64_t> shuffle_seed, int64_t num_shards, int64_t shard_id) {
            new (self) BatchOptions{.batch_size = batch_size,
                                    .drop_remainder = drop_remainder,
                                    .shuffle_seed = shuffle_seed,
                                    .num_shards = num_shards,
                                    .shard_id = shard_id};
          },
          nb::arg("batch_size"), nb::arg("drop_remainder"), nb::arg("shuffle_seed").none(),
          nb::arg("num_shards"), nb::arg("shard_id"));
  nb::class_<Dataset>(module, "Dataset", "See relayout/train/dataset.h.")
      .def_prop_ro("batch_count", &Dataset::batch_count)
      .def("types", &TypesOf)
      .def("batch", &BatchOf, nb::arg("epoch"), nb::arg("index"));
  nb::class_<TensorDataset, Dataset>(module, "TensorDataset", "See relayout/train/dataset.h.")
      .def("with_options", &With<TensorDataset>, nb::arg("options"));
  nb::class_<MnistDataset, Dataset>(module, "MnistDataset", "See relayout/train/mnist_dataset.h.")
      .def("with_options", &With<MnistDataset>, nb::arg("options"));
  module.def("tensor_dataset", &FromArrays, nb::arg("arrays"), nb::arg("options"),
             nb::sig("def tensor_dataset(arrays: list, options: BatchOptions) -> TensorDataset"));
  module.def("mnist_dataset", &OpenMnist, nb::arg("directory"), nb::arg("is_train"),
             nb::arg("options"));
}

}  // namespace relayout::python
