// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/optimizer_states.h"

#include <string>

#include "relayout/base/text.h"

namespace relayout {
namespace {

struct OptimizerForm {
  std::string_view name;
  std::vector<std::string_view> prefixes;
};

const std::vector<OptimizerForm>& Forms() {
  static const std::vector<OptimizerForm> forms = {
      {"adadelta", {"accum.", "accum_update."}},
      {"adagrad", {"accum."}},
      {"adam", {"moment1.", "moment2."}},
      {"adam_weight_decay", {"adam_m.", "adam_v."}},
      {"adamax", {"moment1.", "moment2."}},
      {"asgd", {"ax_"}},
      {"ftrl", {"linear.", "moments."}},
      {"lamb", {"lamb_m.", "lamb_v."}},
      {"lars_momentum", {"moments."}},
      {"momentum", {"moments."}},
      {"rmsprop", {"mean_square.", "moment."}},
      {"rprop", {"prev.", "step_size."}},
      {"sgd", {"accum.", "stat."}},
  };
  return forms;
}

}  // namespace

Result<std::vector<std::string_view>> OptimizerStatePrefixes(std::string_view name) {
  std::vector<std::string> known;
  for (const OptimizerForm& form : Forms()) {
    if (form.name == name) return form.prefixes;
    known.emplace_back(form.name);
  }
  return InvalidInput(Format("optimizer '{}' is not known; known are {}", Printable(name),
                             JoinLimited(known, known.size())));
}

std::vector<std::string_view> OptimizerNames() {
  std::vector<std::string_view> names;
  for (const OptimizerForm& form : Forms()) names.push_back(form.name);
  return names;
}

}  // namespace relayout
