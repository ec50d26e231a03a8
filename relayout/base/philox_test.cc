// SPDX-License-Identifier: Apache-2.0
#include "relayout/base/philox.h"

#include <gtest/gtest.h>

namespace relayout {
namespace {

// The known answers that its authors publish with Random123.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(Philox({0, 0}, {0, 0, 0, 0}),
            (PhiloxWords{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  constexpr uint32_t kAll = 0xFFFFFFFF;
  EXPECT_EQ(Philox({kAll, kAll}, {kAll, kAll, kAll, kAll}),
            (PhiloxWords{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(Philox({0xA4093822, 0x299F31D0}, {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}),
            (PhiloxWords{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Philox, KeysOfBits) {
  EXPECT_EQ(PhiloxKeyOf(0x299F31D0A4093822), (PhiloxKey{0xA4093822, 0x299F31D0}));
}

}  // namespace
}  // namespace relayout
