// SPDX-License-Identifier: Apache-2.0
//
// Prints how many bytes per second one thread of this machine copies from memory to memory, as the
// line to read other copies against: median of some rounds over blocks that no cache holds.
//
//   memcpy_probe [MIB=256]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kRounds = 9;

double SecondsOfCopy(const std::vector<char>& from, std::vector<char>& to) {
  const auto begin = std::chrono::steady_clock::now();
  std::memcpy(to.data(), from.data(), from.size());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  const size_t mebibytes = argc > 1 ? std::stoul(argv[1]) : 256;
  const std::vector<char> from(mebibytes << 20, 'x');
  std::vector<char> to(from.size(), 'y');  // Written, so that no page is missing.
  std::vector<double> seconds(kRounds);
  for (double& round : seconds) round = SecondsOfCopy(from, to);
  std::sort(seconds.begin(), seconds.end());
  std::printf("%.0f\n", static_cast<double>(from.size()) / seconds[kRounds / 2]);
  return to.back() == 'x' ? 0 : 1;
}
