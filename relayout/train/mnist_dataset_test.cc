// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/mnist_dataset.h"

#include <gtest/gtest.h>

#include <bit>
#include <span>
#include <string>
#include <vector>

#include "relayout/base/gzip.h"
#include "relayout/base/text.h"
#include "relayout/io/memory_file_system.h"

namespace relayout {
namespace {

// Images of 1 x 2 pixels: image i has (i, 255 - i) and the label i % 10.
IdxArray Images(int64_t count) {
  IdxArray images = {{count, 1, 2}, {}};
  for (int64_t i = 0; i < count; ++i) {
    images.values.push_back(static_cast<uint8_t>(i));
    images.values.push_back(static_cast<uint8_t>(255 - i));
  }
  return images;
}

IdxArray Labels(int64_t count) {
  IdxArray labels = {{count}, {}};
  for (int64_t i = 0; i < count; ++i) labels.values.push_back(static_cast<uint8_t>(i % 10));
  return labels;
}

BatchOptions Options(int64_t batch_size) {
  BatchOptions options;
  options.batch_size = batch_size;
  return options;
}

void Put(MemoryFileSystem& fs, const std::string& path, const IdxArray& array) {
  const std::string plain = IdxBytes(array);
  const bool gzip = path.ends_with(".gz");
  fs.SetFile(path, gzip ? GzipCompress(std::as_bytes(std::span(plain))) : plain);
}

// What numpy makes of these bytes, in f32: (x / 255 - 0.1307) / 0.3081.
TEST(MnistDataset, PixelsAreNumpysBitByBit) {
  const IdxArray images = {{1, 2, 4}, {0, 1, 2, 33, 128, 200, 254, 255}};
  const auto dataset = *MnistDataset::FromArrays(images, {{1}, {7}}, Options(1));
  const auto batch = *dataset.Batch(0, 0);
  const uint32_t want[] = {0xBED93271, 0xBED2AE20, 0xBECC29D0, 0xBB8902A7,
                           0x3F9A3D7A, 0x4007C593, 0x4033C2B3, 0x4034933D};
  ASSERT_EQ(batch[0].shape(), (Dims{1, 1, 2, 4}));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(batch[0].f32().data[i]), want[i]) << i;
  }
  EXPECT_EQ(batch[1].i32().data[0], 7);
}

TEST(MnistDataset, BatchesAreRowsOfBoth) {
  BatchOptions options = Options(16);
  options.shuffle_seed = 3;
  const auto dataset = *MnistDataset::FromArrays(Images(100), Labels(100), options);
  EXPECT_EQ(dataset.row_count(), 100);
  EXPECT_EQ(dataset.batch_count(), 6);
  EXPECT_EQ(dataset.names(), (std::vector<std::string>{"image", "label"}));
  EXPECT_EQ(dataset.types(),
            (std::vector<TensorType>{{DType::kFloat32, {16, 1, 1, 2}}, {DType::kInt32, {16}}}));
  const auto rows = *BatchRows::Create(100, options);
  for (int64_t i = 0; i < 6; ++i) {
    const auto batch = *dataset.Batch(1, i);
    const auto want = *rows.Of(1, i);
    EXPECT_EQ(batch[0].shape(), dataset.types()[0].shape);
    for (size_t r = 0; r < want.size(); ++r) {
      EXPECT_EQ(batch[1].i32().data[r], want[r] % 10);
      const float pixel = (static_cast<float>(want[r]) / 255.0F - 0.1307F) / 0.3081F;
      EXPECT_EQ(batch[0].f32().data[2 * r], pixel);
    }
  }
  EXPECT_FALSE(dataset.Batch(0, 6).ok());
}

TEST(MnistDataset, ShardsShareTheImages) {
  const auto whole = *MnistDataset::FromArrays(Images(12), Labels(12), Options(4));
  BatchOptions options = Options(2);
  options.num_shards = 2;
  options.shard_id = 1;
  const auto batch = *whole.With(options)->Batch(0, 1);
  EXPECT_EQ(batch[1].i32().data[0], 6);
  EXPECT_EQ(batch[1].i32().data[1], 7);
}

// Every place and spelling that is looked for; the labels of what was not meant differ.
TEST(MnistDataset, FindsItsFiles) {
  const struct {
    const char* images;
    const char* labels;
    MnistPart part;
  } cases[] = {
      {"d/train-images-idx3-ubyte", "d/train-labels-idx1-ubyte", MnistPart::kTrain},
      {"d/train-images.idx3-ubyte", "d/train-labels.idx1-ubyte", MnistPart::kTrain},
      {"d/train-images-idx3-ubyte.gz", "d/train-labels-idx1-ubyte", MnistPart::kTrain},
      {"d/train/train-images-idx3-ubyte", "d/train/train-labels-idx1-ubyte", MnistPart::kTrain},
      {"d/train/train-images.idx3-ubyte.gz", "d/train/train-labels-idx1-ubyte.gz",
       MnistPart::kTrain},
      {"d/t10k-images-idx3-ubyte", "d/t10k-labels-idx1-ubyte", MnistPart::kTest},
      {"d/test/t10k-images-idx3-ubyte", "d/test/t10k-labels-idx1-ubyte", MnistPart::kTest},
  };
  for (const auto& c : cases) {
    MemoryFileSystem fs;
    Put(fs, c.images, Images(20));
    Put(fs, c.labels, Labels(20));
    const auto dataset = MnistDataset::Open(fs, "d", c.part, Options(20));
    ASSERT_TRUE(dataset.ok()) << dataset.status().message();
    EXPECT_EQ((*dataset->Batch(0, 0))[1].i32().data[13], 3) << c.images;
    const MnistPart other = c.part == MnistPart::kTrain ? MnistPart::kTest : MnistPart::kTrain;
    EXPECT_EQ(MnistDataset::Open(fs, "d", other, Options(20)).status().code(),
              StatusCode::kNotFound);
  }
}

TEST(MnistDataset, TellsWhatItLookedFor) {
  MemoryFileSystem fs;
  const std::string looked =
      "d: no training data of MNIST. Looked for train-images-idx3-ubyte and "
      "train-labels-idx1-ubyte, also with . before idx and .gz at the end, in d, d/train.";
  const std::string advice =
      " Name the folder with these files, or the one with train/ and test/ (DATA_PATH); make_data "
      "makes some.";
  const auto failure = [&] {
    return MnistDataset::Open(fs, "d", MnistPart::kTrain, Options(1)).status().message();
  };
  EXPECT_EQ(failure(), looked + advice);
  Put(fs, "d/train/train-images-idx3-ubyte", Images(1));
  EXPECT_EQ(failure(), looked + " d/train/train-images-idx3-ubyte is there alone." + advice);
}

TEST(MnistDataset, TellsWhatIsWrong) {
  MemoryFileSystem fs;
  Put(fs, "d/train-images-idx3-ubyte", Images(20));
  Put(fs, "d/train-labels-idx1-ubyte", Labels(19));
  const auto failure = [&](int64_t batch_size) {
    return MnistDataset::Open(fs, "d", MnistPart::kTrain, Options(batch_size)).status().message();
  };
  EXPECT_EQ(failure(1),
            "d/train-images-idx3-ubyte: 20 images and 19 labels; the files belong to different "
            "sets, take them from one");
  Put(fs, "d/train-labels-idx1-ubyte", Labels(20));
  EXPECT_EQ(failure(1), "");
  EXPECT_EQ(failure(21),
            "d/train-images-idx3-ubyte: 20 rows: too few for a batch of 21 rows; take a smaller "
            "batch_size");
  Put(fs, "d/train-images-idx3-ubyte", {{20, 0, 28}, {}});
  EXPECT_EQ(failure(1), "d/train-images-idx3-ubyte: images without pixels, [20,0,28]");
  fs.SetFile("d/train-images-idx3-ubyte", "short");
  EXPECT_TRUE(failure(1).starts_with("d/train-images-idx3-ubyte: begins with 0x73686f72"));
}

}  // namespace
}  // namespace relayout
