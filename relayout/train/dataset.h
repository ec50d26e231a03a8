// SPDX-License-Identifier: Apache-2.0
//
// Dataset: what a network is trained and measured on, batch by batch.
//
//   MnistDataset                      what it gives (mnist_dataset.h)
//   batch_count() -> 6                batches of an epoch
//   names()       -> image, label     of the tensors of a batch: the network's inputs, in order
//   types()       -> f32[256,1,28,28], i32[256]
//   Batch(0, 5)   -> two tensors      the last batch of the first epoch
//
// Any batch may be asked for at any time: a run that goes on in epoch 7 asks for that. Batches
// depend on epoch and index alone, so ranks that hold equal datasets get equal batches.
//
// Another dataset is another class: Batch makes new tensors, from a file, a generator, or memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/graph/graph.h"
#include "relayout/spmd/tensor.h"
#include "relayout/train/batch_rows.h"

namespace relayout {

// All functions may be called by several threads at once.
class Dataset {
 public:
  virtual ~Dataset() = default;

  // Batches of an epoch; at least 1.
  virtual int64_t batch_count() const = 0;
  // One name for each tensor of a batch.
  virtual std::vector<std::string> names() const = 0;
  // Of a whole batch; the last of an epoch may have fewer rows (dim 0) where remainders are kept.
  virtual std::vector<TensorType> types() const = 0;
  // The tensors of a batch: epoch from 0, 0 <= index < batch_count(). Fails where there is no such
  // batch, and as what it is read from fails.
  virtual Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const = 0;
};

// Tensors in memory, whose dim 0 counts rows: row i of each belongs together.
//
//   TensorDataset::Create({"x", "label"}, {x f32[1000,20], label i32[1000]}, {.batch_size = 50})
//
// Copies are cheap, and share the tensors.
class TensorDataset final : public Dataset {
 public:
  // Fails when there is no tensor, names and tensors differ in number, rows differ in number, and
  // as BatchRows does.
  static Result<TensorDataset> Create(std::vector<std::string> names, std::vector<Tensor> tensors,
                                      const BatchOptions& options);
  // The same data in other batches: another shard, say.
  Result<TensorDataset> With(const BatchOptions& options) const;

  int64_t batch_count() const override { return rows_.batch_count(); }
  std::vector<std::string> names() const override { return data_->names; }
  std::vector<TensorType> types() const override;
  Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const override;

 private:
  struct Data {
    std::vector<std::string> names;
    std::vector<Tensor> tensors;
  };

  TensorDataset(std::shared_ptr<const Data> data, const BatchRows& rows)
      : data_(std::move(data)), rows_(rows) {}

  std::shared_ptr<const Data> data_;
  BatchRows rows_;
};

}  // namespace relayout
