// SPDX-License-Identifier: Apache-2.0
//
// Writes a small set of digits in MNIST's format, for what reads DATA_PATH:
//
//   make_data data                                 the same files on every machine
//   DATA_PATH=data ...
//
//   data/train/train-images-idx3-ubyte    u8[2048,28,28]    train-labels-idx1-ubyte    u8[2048]
//   data/test/t10k-images-idx3-ubyte      u8[512,28,28]     t10k-labels-idx1-ubyte     u8[512]
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "examples/tutorial/digits.h"
#include "relayout/base/text.h"
#include "relayout/io/posix_file_system.h"
#include "relayout/train/idx_file.h"

namespace relayout {
namespace {

struct Options {
  std::string directory = {};
  int64_t train_count = 2048;
  int64_t test_count = 512;
  uint64_t seed = 1;
  bool gz = false;
  bool overwrite = false;
};

// Where the numbers of the test images begin: behind those of any training set.
constexpr int64_t kFirstTestImage = int64_t{1} << 40;

Status WritePart(FileSystem& fs, const std::string& path_prefix, const Digits& digits,
                 const Options& options) {
  IdxWriteOptions write;
  write.gzip = options.gz;
  write.overwrite = options.overwrite;
  const char* suffix = options.gz ? ".gz" : "";
  RELAYOUT_RETURN_IF_ERROR(WriteIdxFile(fs, Format("{}-images-idx3-ubyte{}", path_prefix, suffix),
                                        digits.images, write));
  return WriteIdxFile(fs, Format("{}-labels-idx1-ubyte{}", path_prefix, suffix), digits.labels,
                      write);
}

Status Make(const Options& options) {
  const auto fs = NewPosixFileSystem();
  const std::string& directory = options.directory;
  RELAYOUT_RETURN_IF_ERROR(WritePart(*fs, JoinPath(directory, "train/train"),
                                     DrawDigits(0, options.train_count, options.seed), options));
  RELAYOUT_RETURN_IF_ERROR(WritePart(*fs, JoinPath(directory, "test/t10k"),
                                     DrawDigits(kFirstTestImage, options.test_count, options.seed),
                                     options));
  std::printf("%s: %s to train with, %s to test with\n", directory.c_str(),
              Count(options.train_count, "image").c_str(),
              Count(options.test_count, "image").c_str());
  return OkStatus();
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Options options;
  CLI::App app{"Writes a small set of digits in MNIST's format: DIR/train and DIR/test."};
  app.add_option("DIR", options.directory, "Created where it is missing")->required();
  const CLI::Range count(int64_t{1}, int64_t{1} << 24);
  app.add_option("--train", options.train_count, "Images to train with")
      ->capture_default_str()
      ->check(count);
  app.add_option("--test", options.test_count, "Images to test with")
      ->capture_default_str()
      ->check(count);
  app.add_option("--seed", options.seed, "Other digits for every number")->capture_default_str();
  app.add_option("--gz", options.gz, "yes: compressed files, with .gz behind their names");
  app.add_flag("--overwrite", options.overwrite, "Replace files that are there");
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Make(options);
  if (status.ok()) return 0;
  std::fprintf(stderr, "make_data: %s\n", status.message().c_str());
  return 1;
}
