// SPDX-License-Identifier: Apache-2.0
#include "relayout/layout/notation.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "relayout/base/text.h"

namespace relayout {
namespace {

std::string MeshText(const LayoutSpec& spec) {
  std::string text = "{";
  for (size_t axis = 0; axis < spec.mesh.size(); ++axis) {
    if (axis != 0) text += ',';
    text += Format("{}:{}", AxisName(axis), spec.mesh[axis]);
  }
  return text + "}";
}

std::string CutsText(const LayoutSpec& spec) {
  std::string text = "(";
  for (size_t d = 0; d < spec.dim_axes.size(); ++d) {
    if (d != 0) text += ',';
    if (spec.dim_axes[d].empty()) text += '-';
    for (size_t i = 0; i < spec.dim_axes[d].size(); ++i) {
      if (i != 0) text += '*';
      text += AxisName(static_cast<size_t>(spec.dim_axes[d][i]));
    }
  }
  text += ")";
  if (spec.optimizer_group == LayoutSpec::kAllReplicas) text += " opt:all";
  if (spec.optimizer_group > 1) text += Format(" opt:{}", spec.optimizer_group);
  for (size_t i = 0; i < spec.uneven_rows.size(); ++i) {
    text += (i == 0 ? " rows:" : "+") + std::to_string(spec.uneven_rows[i]);
  }
  return text;
}

// A cursor over the notation. Blanks may stand between tokens.
class Parser {
 public:
  explicit Parser(std::string_view text) : whole_(text), rest_(text) {}

  Status Mesh(LayoutSpec& spec) {
    RELAYOUT_RETURN_IF_ERROR(Expect('{'));
    while (!Accept('}')) {
      if (!axis_names_.empty()) RELAYOUT_RETURN_IF_ERROR(Expect(','));
      const std::string_view name = Word();
      if (name.empty()) return Error("a mesh axis name");
      RELAYOUT_RETURN_IF_ERROR(Expect(':'));
      RELAYOUT_ASSIGN_OR_RETURN(const int64_t size, Number());
      axis_names_.emplace_back(name);
      spec.mesh.push_back(size);
    }
    return OkStatus();
  }

  Status Cuts(LayoutSpec& spec) {
    RELAYOUT_RETURN_IF_ERROR(Expect('('));
    while (!Accept(')')) {
      if (!spec.dim_axes.empty()) RELAYOUT_RETURN_IF_ERROR(Expect(','));
      spec.dim_axes.emplace_back();
      if (Accept('-')) continue;
      do {
        RELAYOUT_ASSIGN_OR_RETURN(const int axis, Axis());
        spec.dim_axes.back().push_back(axis);
      } while (Accept('*'));
    }
    if (AcceptWord("opt:")) {
      if (AcceptWord("all")) {
        spec.optimizer_group = LayoutSpec::kAllReplicas;
      } else {
        RELAYOUT_ASSIGN_OR_RETURN(spec.optimizer_group, Number());
      }
    }
    if (AcceptWord("rows:")) {
      do {
        RELAYOUT_ASSIGN_OR_RETURN(const int64_t rows, Number());
        spec.uneven_rows.push_back(rows);
      } while (Accept('+'));
    }
    return OkStatus();
  }

  Result<DType> ElementType() {
    const std::string_view word = Word();
    if (const auto dtype = DTypeFromShortName(word)) return *dtype;
    return Error("an element type such as f32");
  }

  Result<Dims> Shape() {
    RELAYOUT_RETURN_IF_ERROR(Expect('['));
    Dims shape;
    while (!Accept(']')) {
      if (!shape.empty()) RELAYOUT_RETURN_IF_ERROR(Expect(','));
      RELAYOUT_ASSIGN_OR_RETURN(const int64_t dim, Number());
      if (shape.size() == kMaxDims) return Error("at most 16 dims");
      shape.push_back(dim);
    }
    return shape;
  }

  Status Expect(char c) { return Accept(c) ? OkStatus() : Error(Format("'{}'", c)); }

  Status End() {
    SkipBlanks();
    return rest_.empty() ? OkStatus() : Error("the end");
  }

 private:
  Status Error(const std::string& wanted) const {
    return InvalidInput(Format("layout \"{}\": expected {} at character {}", Printable(whole_),
                               wanted, whole_.size() - rest_.size() + 1));
  }

  void SkipBlanks() {
    while (!rest_.empty() && rest_[0] == ' ') rest_.remove_prefix(1);
  }

  bool Accept(char c) {
    SkipBlanks();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool AcceptWord(std::string_view word) {
    SkipBlanks();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::string_view Word() {
    SkipBlanks();
    const auto is_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_word);
    const auto word = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
    rest_.remove_prefix(word.size());
    return word;
  }

  Result<int64_t> Number() {
    const std::string_view before = rest_;
    if (const auto number = ParseDecimal(Word())) return *number;
    rest_ = before;
    return Error("a number");
  }

  Result<int> Axis() {
    const std::string_view before = rest_;
    const auto found = std::find(axis_names_.begin(), axis_names_.end(), Word());
    if (found != axis_names_.end()) return static_cast<int>(found - axis_names_.begin());
    rest_ = before;
    return Error("the name of a mesh axis");
  }

  std::string_view whole_;
  std::string_view rest_;
  std::vector<std::string> axis_names_;
};

}  // namespace

std::string AxisName(size_t axis) {
  std::string name(1, static_cast<char>('a' + axis % 26));
  if (axis >= 26) name += std::to_string(axis / 26);
  return name;
}

std::string ToText(const Layout& layout) {
  return MeshText(layout.spec()) + " " + CutsText(layout.spec());
}

std::string ToText(const Layout& layout, DType dtype, const Dims& shape) {
  return Format("{} {}{} @ {}", MeshText(layout.spec()), ShortName(dtype), ToText(shape),
                CutsText(layout.spec()));
}

Result<Layout> ParseLayout(std::string_view text) {
  Parser parser(text);
  LayoutSpec spec;
  RELAYOUT_RETURN_IF_ERROR(parser.Mesh(spec));
  RELAYOUT_RETURN_IF_ERROR(parser.Cuts(spec));
  RELAYOUT_RETURN_IF_ERROR(parser.End());
  return Layout::Create(std::move(spec));
}

Result<TensorNotation> ParseTensor(std::string_view text) {
  Parser parser(text);
  LayoutSpec spec;
  RELAYOUT_RETURN_IF_ERROR(parser.Mesh(spec));
  RELAYOUT_ASSIGN_OR_RETURN(const DType dtype, parser.ElementType());
  RELAYOUT_ASSIGN_OR_RETURN(const Dims shape, parser.Shape());
  RELAYOUT_RETURN_IF_ERROR(parser.Expect('@'));
  RELAYOUT_RETURN_IF_ERROR(parser.Cuts(spec));
  RELAYOUT_RETURN_IF_ERROR(parser.End());
  RELAYOUT_ASSIGN_OR_RETURN(Layout layout, Layout::Create(std::move(spec)));
  return TensorNotation{.layout = std::move(layout), .dtype = dtype, .shape = shape};
}

}  // namespace relayout
