// SPDX-License-Identifier: Apache-2.0
//
// MNIST, and what has its format (Fashion-MNIST, what make_data writes), as MindSpore's tutorials
// feed it:
//
//   image f32[batch,1,28,28]    (byte / 255 - 0.1307) / 0.3081
//   label i32[batch]
//
// each step in f32. (MindSpore's Rescale multiplies by 1 / 255, so its last bit may be another.)
// Bytes stay bytes in memory, 47 MB for 60,000 images; a batch is converted when it is asked for.
//
//   DATA_PATH/train-images-idx3-ubyte    train-labels-idx1-ubyte
//             t10k-images-idx3-ubyte     t10k-labels-idx1-ubyte
//   or        train/train-images-idx3-ubyte ...     test/t10k-images-idx3-ubyte ...
//
// are found from DATA_PATH (the second also from DATA_PATH/train), also as train-images.idx3-ubyte
// and with .gz behind their names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "relayout/base/status.h"
#include "relayout/io/file_system.h"
#include "relayout/train/dataset.h"
#include "relayout/train/idx_file.h"

namespace relayout {

enum class MnistPart { kTrain, kTest };

// Copies are cheap, and share the images: eight ranks in one process open it once.
class MnistDataset final : public Dataset {
 public:
  // Reads the files of a part. Fails when they are not found (the message lists what was looked
  // for), as ReadIdxFile does, and as FromArrays does.
  static Result<MnistDataset> Open(FileSystem& fs, const std::string& directory, MnistPart part,
                                   const BatchOptions& options);
  // Of images u8[n,rows,columns] and labels u8[n]. Fails when the numbers of both differ or images
  // are empty, and as BatchRows does. @pre 3 dims and 1 dim, and as many values as they say
  static Result<MnistDataset> FromArrays(IdxArray images, IdxArray labels,
                                         const BatchOptions& options);
  // The same images in other batches: another shard, say.
  Result<MnistDataset> With(const BatchOptions& options) const;

  // Images, of all shards.
  int64_t row_count() const { return rows_.row_count(); }

  int64_t batch_count() const override { return rows_.batch_count(); }
  std::vector<std::string> names() const override;  // MindSpore's: image, label.
  std::vector<TensorType> types() const override;
  Result<std::vector<Tensor>> Batch(int64_t epoch, int64_t index) const override;

 private:
  struct Data {
    IdxArray images;
    IdxArray labels;
  };

  MnistDataset(std::shared_ptr<const Data> data, const BatchRows& rows)
      : data_(std::move(data)), rows_(rows) {}
  Dims ImageShape(int64_t count) const;

  std::shared_ptr<const Data> data_;
  BatchRows rows_;
};

}  // namespace relayout
