// SPDX-License-Identifier: Apache-2.0
#include "relayout/spmd/pipeline_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "relayout/base/text.h"

namespace relayout {
namespace {

using Kind = PipelineAction::Kind;

std::string ToText(const std::vector<PipelineAction>& actions) {
  std::string text;
  for (const PipelineAction& action : actions) {
    if (!text.empty()) text += ' ';
    if (action.kind == Kind::kForward) {
      text += Format("F{}", action.forward);
    } else if (action.kind == Kind::kBackward) {
      text += Format("B{}", action.backward);
    } else {
      text += action.kind == Kind::kExchangeNext ? "next:" : "previous:";
      if (action.forward != PipelineAction::kNone) text += Format(">f{}", action.forward);
      if (action.backward != PipelineAction::kNone) text += Format("<b{}", action.backward);
    }
  }
  return text;
}

TEST(PipelineSchedule, IsAsTheHeaderSays) {
  EXPECT_EQ(ToText(PipelineSchedule(0, 2, 4)),
            "F0 next:>f0 F1 next:>f1<b0 B0 F2 next:>f2<b1 B1 F3 next:>f3<b2 B2 next:<b3 B3");
  EXPECT_EQ(ToText(PipelineSchedule(1, 2, 4)),
            "previous:>f0 F0 B0 previous:>f1<b0 F1 B1 previous:>f2<b1 F2 B2 previous:>f3<b2 F3 B3 "
            "previous:<b3");
  EXPECT_EQ(ToText(PipelineSchedule(0, 1, 2)), "F0 B0 F1 B1");
}

// Runs all stages as far as each comes; an exchange waits for the other side's.
class World {
 public:
  World(int64_t stages, int64_t micros) : micros_(micros) {
    for (int64_t s = 0; s < stages; ++s) schedules_.push_back(PipelineSchedule(s, stages, micros));
    next_.resize(schedules_.size());
    forward_.resize(schedules_.size());
    backward_.resize(schedules_.size());
    given_.resize(schedules_.size());
    returned_.resize(schedules_.size());
  }

  bool RunToTheEnd() {
    bool moves = true;
    while (moves) {
      moves = false;
      for (size_t s = 0; s < schedules_.size(); ++s) moves |= Advance(s);
    }
    for (size_t s = 0; s < schedules_.size(); ++s) {
      if (next_[s] != schedules_[s].size() || std::ssize(backward_[s]) != micros_) return false;
    }
    return true;
  }
  int64_t most_in_flight(size_t stage) const { return most_[stage]; }

 private:
  const PipelineAction* Next(size_t s) const {
    return next_[s] < schedules_[s].size() ? &schedules_[s][next_[s]] : nullptr;
  }

  bool Advance(size_t s) {
    const PipelineAction* const action = Next(s);
    if (action == nullptr) return false;
    if (action->kind == Kind::kForward) {
      EXPECT_TRUE(s == 0 || given_[s].count(action->forward)) << "stage " << s;
      EXPECT_TRUE(forward_[s].insert(action->forward).second);
    } else if (action->kind == Kind::kBackward) {
      EXPECT_TRUE(forward_[s].count(action->backward));
      EXPECT_TRUE(s + 1 == schedules_.size() || returned_[s].count(action->backward));
      EXPECT_TRUE(backward_[s].insert(action->backward).second);
    } else {
      return action->kind == Kind::kExchangeNext && Meet(s, *action);
    }
    const auto in_flight = std::ssize(forward_[s]) - std::ssize(backward_[s]);
    most_[s] = std::max(most_[s], in_flight);
    ++next_[s];
    return true;
  }

  bool Meet(size_t s, const PipelineAction& mine) {
    const PipelineAction* const other = Next(s + 1);
    if (other == nullptr || other->kind != Kind::kExchangePrevious) return false;
    EXPECT_EQ(other->forward, mine.forward);
    EXPECT_EQ(other->backward, mine.backward);
    if (mine.forward != PipelineAction::kNone) {
      EXPECT_TRUE(forward_[s].count(mine.forward));
      given_[s + 1].insert(mine.forward);
    }
    if (mine.backward != PipelineAction::kNone) {
      EXPECT_TRUE(backward_[s + 1].count(mine.backward));
      returned_[s].insert(mine.backward);
    }
    ++next_[s];
    ++next_[s + 1];
    return true;
  }

  int64_t micros_;
  std::vector<std::vector<PipelineAction>> schedules_;
  std::vector<size_t> next_;
  std::vector<std::set<int64_t>> forward_, backward_, given_, returned_;
  std::vector<std::ptrdiff_t> most_ = std::vector<std::ptrdiff_t>(16);
};

TEST(PipelineSchedule, EveryWorldRunsToTheEndWithinItsFrames) {
  for (int64_t stages = 1; stages <= 6; ++stages) {
    for (int64_t micros = 1; micros <= 9; ++micros) {
      SCOPED_TRACE(Format("{} stages, {} micro batches", stages, micros));
      World world(stages, micros);
      ASSERT_TRUE(world.RunToTheEnd());
      for (int64_t s = 0; s < stages; ++s) {
        EXPECT_EQ(world.most_in_flight(static_cast<size_t>(s)),
                  MicroBatchesInFlight(s, stages, micros));
      }
    }
  }
}

}  // namespace
}  // namespace relayout
