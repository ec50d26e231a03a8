// SPDX-License-Identifier: Apache-2.0
//
// What the arguments of MindSpore's operators are called, and which of them are tensors.
//
// MindSpore hands an operator its arguments in one list: MatMul takes (input, mat2, transpose_a,
// transpose_b). In a Graph the tensors are Operator::inputs, in that order, and the others are
// attributes by these names; so this table is the vocabulary of attributes as well.
//
//   FindOperands("MatMul")   // input, mat2 tensors; transpose_a, transpose_b not
//   FindOperands("Concat")   // tensors (a tuple: each of its tensors is an input), axis not
//
// An argument may be None. A tensor that is None and has another behind it is named in the
// attribute kAbsentOperands, so that one can tell which inputs an operator has:
//
//   FlashAttentionScore (q, k, v, mask)  absent='real_shift drop_mask'
//   InputOf(op, "attn_mask")             // 3
//   InputOf(op, "drop_mask")             // nothing
//
// Names and order are those of MindSpore 2.10. An operator that is not here can still be in a
// graph when all of its arguments are tensors, or when the file names them.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "relayout/graph/graph.h"

namespace relayout {

struct Operand {
  std::string_view name;
  bool is_tensor = true;
  friend bool operator==(const Operand&, const Operand&) = default;
};

// The names of left out tensors, with blanks between them.
inline constexpr std::string_view kAbsentOperands = "absent";

// In MindSpore's order; nothing for a type that is not in the table.
std::optional<std::vector<Operand>> FindOperands(std::string_view type);

// Which of the operator's inputs the operand called `name` is; nothing when it is None, no tensor
// or unknown. Operands behind a tuple of tensors are not found.
std::optional<size_t> InputOf(const Operator& op, std::string_view name);

}  // namespace relayout
