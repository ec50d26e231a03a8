// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "examples/tutorial/programs.h"
#include "relayout/base/text.h"
#include "relayout/draw/loss_curve.h"
#include "relayout/io/posix_file_system.h"

namespace relayout::tutorial {
namespace {

// Of "step,loss" lines below a heading.
Result<std::vector<float>> ReadLosses(FileSystem& fs, const std::string& path) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(fs, path, int64_t{1} << 26));
  std::vector<float> losses;
  std::string_view left = text;
  left.remove_prefix(std::min(left.size(), left.find('\n')));
  while (left.size() > 1) {
    left.remove_prefix(1);
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(line.size());
    const size_t comma = line.find(',');
    float loss = 0;
    const char* const end = line.data() + line.size();
    const char* const begin = comma == std::string_view::npos ? end : line.data() + comma + 1;
    const auto [stop, error] = std::from_chars(begin, end, loss);
    if (error != std::errc() || stop != end) {
      return InvalidInput(
          Format("{}: line '{}' is not step,loss", path, Printable(std::string(line))));
    }
    losses.push_back(loss);
    if (left.empty()) break;
  }
  return losses;
}

}  // namespace

Status DrawLosses(const std::vector<std::string>& parts, const std::string& svg_file) {
  const auto fs = NewPosixFileSystem();
  std::vector<LossCurvePart> curve;
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos) {
      return InvalidInput(Format("'{}' is not LABEL=FILE", Printable(part)));
    }
    RELAYOUT_ASSIGN_OR_RETURN(std::vector<float> losses, ReadLosses(*fs, part.substr(equals + 1)));
    curve.push_back({part.substr(0, equals), std::move(losses)});
  }
  return PublishFile(*fs, svg_file, LossCurveSvg(curve), /*overwrite=*/true);
}

}  // namespace relayout::tutorial
