// SPDX-License-Identifier: Apache-2.0
//
// prove: random conversions against the oracle for as long as one likes.
//
//   prove [--seconds N] [--seed S] [--cases N]
//
// Case i of seed S is the world of seed S + i, so a mismatch is repeated by
// `prove --seed THAT_SEED --cases 1`. Exit status 1 on the first mismatch.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

#include "relayout/base/text.h"
#include "tests/oracle/world.h"

namespace {

using Clock = std::chrono::steady_clock;

int64_t SecondsSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count();
}

int Usage() {
  std::fprintf(stderr, "usage: prove [--seconds N] [--seed S] [--cases N]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  int64_t seconds = 60;
  int64_t cases = std::numeric_limits<int64_t>::max();
  int64_t seed =
      std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1'000'000'000'000;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    const auto value = i + 1 < argc ? relayout::ParseDecimal(argv[i + 1]) : std::nullopt;
    if (!value) return Usage();
    if (option == "--seconds") {
      seconds = *value;
    } else if (option == "--seed") {
      seed = *value;
    } else if (option == "--cases") {
      cases = *value;
    } else {
      return Usage();
    }
  }

  std::printf("seed %lld\n", static_cast<long long>(seed));
  const auto start = Clock::now();
  int64_t done = 0;
  int64_t last_report = 0;
  for (; done < cases && SecondsSince(start) < seconds; ++done) {
    const std::string wrong = relayout::oracle::RunSeed(static_cast<uint64_t>(seed + done));
    if (!wrong.empty()) {
      std::printf("MISMATCH in case %lld; repeat with: prove --seed %lld --cases 1\n%s\n",
                  static_cast<long long>(done), static_cast<long long>(seed + done), wrong.c_str());
      return 1;
    }
    if (SecondsSince(start) >= last_report + 10) {
      last_report = SecondsSince(start);
      std::printf("%lld cases, %lld s\n", static_cast<long long>(done + 1),
                  static_cast<long long>(last_report));
      std::fflush(stdout);
    }
  }
  std::printf("%lld cases, all equal to the oracle, %lld s\n", static_cast<long long>(done),
              static_cast<long long>(SecondsSince(start)));
  return 0;
}
