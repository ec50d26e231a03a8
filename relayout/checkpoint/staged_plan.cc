// SPDX-License-Identifier: Apache-2.0
#include "relayout/checkpoint/staged_plan.h"

#include "relayout/base/text.h"

namespace relayout {
namespace {

constexpr std::string_view kFirstLine = "relayout plan 1";
constexpr std::string_view kLastLine = "end";

// Nothing but numbers.
Result<std::vector<int64_t>> ParseNumbers(const std::vector<std::string_view>& words) {
  std::vector<int64_t> numbers;
  for (size_t i = 1; i < words.size(); ++i) {
    const auto number = ParseDecimal(words[i]);
    if (!number) return InvalidInput("a plan with something else where a number should be");
    numbers.push_back(*number);
  }
  return numbers;
}

Status ParseOwnLine(std::string_view line, StagedPlan& plan) {
  const std::vector<std::string_view> words = SplitWords(line);
  if (words.empty()) return InvalidInput("a plan with an empty line");
  if (words[0] == "replicas" && words.size() == 2) {
    plan.replicas = words[1];
    return OkStatus();
  }
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, ParseNumbers(words));
  if (words[0] == "modified" && numbers.size() == 3) {
    plan.change_of_source[numbers[0]] = Format("{} {}", numbers[1], numbers[2]);
  } else if (words[0] == "ranks") {
    plan.ranks = numbers;
  } else if (words[0] == "chunk_bytes" && numbers.size() == 1) {
    plan.chunk_bytes = numbers[0];
  } else if (words[0] == "thread_memory_bytes" && numbers.size() == 1) {
    plan.thread_memory_bytes = numbers[0];
  }
  return OkStatus();
}

}  // namespace

std::string DescribeDifference(const StagedPlan& before, const StagedPlan& now) {
  std::string difference = DescribeDifference(before.generation, now.generation);
  if (!difference.empty()) return difference;
  // The samples of a fingerprint miss most bytes; the time of the last change does not.
  for (const auto& [rank, change] : before.change_of_source) {
    const auto other = now.change_of_source.find(rank);
    if (other == now.change_of_source.end() || other->second != change) {
      return Format("the source file of rank {}", rank);
    }
  }
  if (before.change_of_source.size() != now.change_of_source.size()) {
    return "the number of source files";
  }
  if (before.replicas != now.replicas) return "--replicas";
  return before.ranks == now.ranks ? "" : "the target ranks";
}

std::string SerializePlan(const StagedPlan& plan) {
  std::string text = Format("{}\n{}", kFirstLine, SerializeGeneration(plan.generation));
  for (const auto& [rank, change] : plan.change_of_source) {
    text += Format("modified {} {}\n", rank, change);
  }
  text += Format("replicas {}\nranks", plan.replicas);
  for (const int64_t rank : plan.ranks) text += Format(" {}", rank);
  return text + Format("\nchunk_bytes {}\nthread_memory_bytes {}\n{}\n", plan.chunk_bytes,
                       plan.thread_memory_bytes, kLastLine);
}

Result<StagedPlan> ParsePlan(std::string_view text) {
  const std::vector<std::string_view> lines = SplitLines(text);
  if (lines.size() < 2 || lines.front() != kFirstLine || lines.back() != kLastLine) {
    return InvalidInput("not a whole plan of this version of relayout");
  }
  StagedPlan plan;
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    RELAYOUT_ASSIGN_OR_RETURN(const bool done, ParseGenerationLine(lines[i], plan.generation));
    if (!done) RELAYOUT_RETURN_IF_ERROR(ParseOwnLine(lines[i], plan));
  }
  if (plan.ranks.empty() || plan.chunk_bytes < 1 || plan.thread_memory_bytes < 1) {
    return InvalidInput("a plan without ranks or without a cut");
  }
  return plan;
}

}  // namespace relayout
