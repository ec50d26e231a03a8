// SPDX-License-Identifier: Apache-2.0
#include "relayout/comm/launch.h"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>

#include "relayout/base/text.h"

namespace relayout {
namespace {

struct Launcher {
  const char* name;
  const char* count_variable;
  const char* rank_variable;
};

constexpr Launcher kLaunchers[] = {
    {"Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
    {"mpirun_rsh", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
    {"mpiexec", "PMI_SIZE", "PMI_RANK"},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
};

std::optional<int> Number(const Environment& environment, const char* name) {
  const char* text = environment(name);
  if (text == nullptr) return std::nullopt;
  const std::optional<int64_t> value = ParseDecimal(text);
  if (!value || *value > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*value);
}

// An ordinary id fits in an int; those of Slurm's own steps do not.
bool IsStepOfSrun(const Environment& environment) {
  return Number(environment, "SLURM_STEP_ID").has_value();
}

std::optional<Launch> StartedBy(const Launcher& launcher, const Environment& environment) {
  const std::optional<int> count = Number(environment, launcher.count_variable);
  const std::optional<int> rank = Number(environment, launcher.rank_variable);
  if (!count || !rank || *rank >= *count) return std::nullopt;
  const std::string_view name = launcher.name;
  if (name == "srun" && !IsStepOfSrun(environment)) return std::nullopt;
  return Launch{std::string(name), launcher.count_variable, *count, *rank};
}

std::optional<Launch> StartedByPmix(const Environment& environment) {
  const std::optional<int> rank = Number(environment, "PMIX_RANK");
  if (!rank || environment("PMIX_NAMESPACE") == nullptr) return std::nullopt;
  return Launch{"a PMIx launcher", "PMIX_RANK", 0, *rank};
}

}  // namespace

Launch DetectLaunch(const Environment& environment) {
  for (const Launcher& launcher : kLaunchers) {
    if (const auto launch = StartedBy(launcher, environment)) return *launch;
  }
  return StartedByPmix(environment).value_or(Launch{});
}

Launch DetectLaunch() {
  return DetectLaunch([](const char* name) { return std::getenv(name); });
}

std::string Describe(const Launch& launch) {
  if (launch.launcher.empty()) return "alone";
  const std::string by = Format("by {}, which set {}", launch.launcher, launch.variable);
  if (launch.process_count == 0) return "as one of perhaps several processes " + by;
  if (launch.process_count == 1) return "as the only process " + by;
  return Format("as one of {} processes {}", launch.process_count, by);
}

}  // namespace relayout
