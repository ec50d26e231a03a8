// SPDX-License-Identifier: Apache-2.0
//
//   Split        f32[4,9] axis=1 output_num=3                 -> f32[4,3] f32[4,3] f32[4,3]
//   Concat       f32[4,3] f32[4,6] axis=1                     -> f32[4,9]
//   StackExt     f32[4,3] f32[4,3] dim=0                      -> f32[2,4,3]
//   StridedSlice f32[4,9] begin=(0,3) end=(4,9) strides=(1,2) -> f32[4,3]
//   Slice        f32[4,9] begin=(0,3) size=(4,-1)             -> f32[4,6]
#include <algorithm>

#include "relayout/base/checked_math.h"
#include "relayout/base/text.h"
#include "relayout/graph/shapes/families.h"

namespace relayout {
namespace {

constexpr size_t kManyInputs = 4096;
constexpr int64_t kManyResults = 4096;

// Results that are input 0 but for the length of one dim.
ResultTypeList Pieces(const ShapeCall& call, size_t axis, const std::vector<int64_t>& lengths) {
  ResultTypeList results;
  for (const int64_t length : lengths) {
    results.push_back(call.input(0));
    results.back().shape[axis] = length;
  }
  return results;
}

Result<size_t> AxisBy(const ShapeCall& call, std::string_view name, int64_t otherwise) {
  return call.Axis(call.attributes().GetInt(name, otherwise), call.shape(0));
}

Result<ResultTypeList> Split(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "axis", 0));
  const int64_t count = call.attributes().GetInt("output_num", 1);
  const int64_t length = call.shape(0)[axis];
  if (count < 1 || count > kManyResults || length % count != 0) {
    return call.Fail(
        Format("dim {} of {} is not divisible by {}", axis, ToText(call.shape(0)), count));
  }
  return Pieces(call, axis, std::vector<int64_t>(static_cast<size_t>(count), length / count));
}

// Pieces of `size`, the last one as long as what is left.
Result<ResultTypeList> PiecesOf(const ShapeCall& call, size_t axis, int64_t size) {
  const int64_t length = call.shape(0)[axis];
  if (size < 1 || CeilDiv(length, size) > kManyResults) {
    return call.Fail(
        Format("cannot cut dim {} of {} into pieces of {}", axis, ToText(call.shape(0)), size));
  }
  std::vector<int64_t> lengths;
  for (int64_t left = length; left > 0; left -= lengths.back()) {
    lengths.push_back(std::min(size, left));
  }
  return Pieces(call, axis, lengths);
}

Result<ResultTypeList> SplitTensor(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t size, call.Int("split_size"));
  return PiecesOf(call, axis, size);
}

Result<ResultTypeList> Chunk(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t chunks, call.Int("chunks"));
  if (chunks < 1) return call.Fail(Format("cannot make {} chunks", chunks));
  return PiecesOf(call, axis, std::max<int64_t>(1, CeilDiv(call.shape(0)[axis], chunks)));
}

Result<ResultTypeList> SplitWithSize(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, call.Ints("split_size"));
  int64_t left = call.shape(0)[axis];
  for (const int64_t length : lengths) {
    if (length < 0 || length > left) left = -1;
    if (left >= 0) left -= length;
  }
  if (left != 0) {
    return call.Fail(Format("pieces {} do not make up dim {} of {}", TextOf(lengths), axis,
                            ToText(call.shape(0))));
  }
  return Pieces(call, axis, lengths);
}

// Tensors along a dim that they have; they are alike but there.
Result<ResultTypeList> Concat(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, kManyInputs));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "axis", 0));
  TensorType result = call.input(0);
  for (size_t i = 1; i < call.count(); ++i) {
    Dims expected = call.shape(0);
    if (call.dim_count(i) == expected.size()) expected[axis] = call.shape(i)[axis];
    const std::optional<int64_t> sum =
        call.shape(i) == expected ? CheckedAdd(result.shape[axis], expected[axis]) : std::nullopt;
    if (!sum) {
      return call.Fail(Format("input {} {} does not continue {} along dim {}", i,
                              ToText(call.shape(i)), ToText(call.shape(0)), axis));
    }
    result.shape[axis] = *sum;
    result.dtype = CommonType(result.dtype, call.dtype(i));
  }
  return ResultTypeList{result};
}

// Tensors along a new dim; they are alike.
Result<ResultTypeList> StackAlong(const ShapeCall& call, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1, kManyInputs));
  if (call.dim_count(0) == kMaxDims) return call.Fail(Format("makes over {} dims", kMaxDims));
  Dims with_new = call.shape(0);
  with_new.push_back(1);
  RELAYOUT_ASSIGN_OR_RETURN(const size_t place,
                            call.Axis(call.attributes().GetInt(name, 0), with_new));
  for (size_t i = 1; i < call.count(); ++i) {
    if (call.shape(i) == call.shape(0)) continue;
    return call.Fail(Format("stacks tensors of one shape, input 0 is {} and input {} is {}",
                            ToText(call.shape(0)), i, ToText(call.shape(i))));
  }
  TensorType result = {call.dtype(0), {}};
  for (size_t d = 0; d < with_new.size(); ++d) {
    if (d == place) result.shape.push_back(static_cast<int64_t>(call.count()));
    if (d < call.dim_count(0)) result.shape.push_back(call.shape(0)[d]);
  }
  return ResultTypeList{result};
}
Result<ResultTypeList> Stack(const ShapeCall& call) { return StackAlong(call, "axis"); }
Result<ResultTypeList> StackExt(const ShapeCall& call) { return StackAlong(call, "dim"); }

Dims Without(const Dims& shape, size_t axis) {
  Dims dims;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (d != axis) dims.push_back(shape[d]);
  }
  return dims;
}

Result<ResultTypeList> UnstackAlong(const ShapeCall& call, std::string_view name) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, name, 0));
  const int64_t count = call.shape(0)[axis];
  if (count > kManyResults) return call.Fail(Format("makes {} tensors", count));
  const TensorType one = {call.dtype(0), Without(call.shape(0), axis)};
  return ResultTypeList(static_cast<size_t>(count), one);
}
Result<ResultTypeList> Unstack(const ShapeCall& call) { return UnstackAlong(call, "axis"); }
Result<ResultTypeList> UnstackView(const ShapeCall& call) { return UnstackAlong(call, "dim"); }

Result<ResultTypeList> SelectOne(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  return ResultTypeList{{call.dtype(0), Without(call.shape(0), axis)}};
}

// How many of [0, length) lie on begin, begin + step, ... before `end`, which count from the right
// when negative and are moved into the range as Python does.
int64_t StepCount(int64_t length, int64_t begin, int64_t end, int64_t step) {
  const int64_t lowest = step > 0 ? 0 : -1;
  const int64_t highest = step > 0 ? length : length - 1;
  if (begin < 0) begin = std::max(begin + length, lowest);
  if (end < 0) end = std::max(end + length, lowest);
  begin = std::min(begin, highest);
  end = std::min(end, highest);
  const int64_t distance = step > 0 ? end - begin : begin - end;
  if (distance <= 0) return 0;
  // -step would not fit where step is the least integer.
  return step > 0 ? CeilDiv(distance, step) : 1 + (distance - 1) / -std::max(step, -INT64_MAX);
}

// The bits of StridedSlice's masks speak of the entries of begin, end and strides.
bool Bit(const Attributes& attributes, std::string_view mask, size_t entry) {
  return ((attributes.GetInt(mask, 0) >> entry) & 1) != 0;
}

int64_t LengthOfEntry(const ShapeCall& call, size_t entry, int64_t length,
                      const std::vector<int64_t>& begin, const std::vector<int64_t>& end,
                      const std::vector<int64_t>& strides) {
  const int64_t step = strides[entry];
  const Attributes& given = call.attributes();
  // What "from the start" and "to the end" are, counted in the direction of the step.
  const int64_t from = Bit(given, "begin_mask", entry) ? (step > 0 ? 0 : length - 1) : begin[entry];
  if (!Bit(given, "end_mask", entry)) return StepCount(length, from, end[entry], step);
  return StepCount(length, from, step > 0 ? length : -length - 1, step);
}

// An entry for each dim from the left; one that is an ellipsis stands for as many as it takes, one
// that is a new axis for none. Dims that are left over stay whole.
Result<ResultTypeList> StridedSlice(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> begin, call.Ints("begin"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> end, call.Ints("end"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> strides, call.Ints("strides"));
  const Attributes& given = call.attributes();
  const Dims& shape = call.shape(0);
  const size_t entries = begin.size();
  const bool alike = end.size() == entries && strides.size() == entries && entries <= kMaxDims;
  if (!alike || std::find(strides.begin(), strides.end(), 0) != strides.end()) {
    return call.Fail(Format("begin {}, end {} and strides {} are no slice", TextOf(begin),
                            TextOf(end), TextOf(strides)));
  }
  size_t taken = 0;  // Dims that entries other than the ellipsis speak of.
  for (size_t e = 0; e < entries; ++e) {
    const bool none = Bit(given, "ellipsis_mask", e) || Bit(given, "new_axis_mask", e);
    taken += none ? 0 : 1;
  }
  std::vector<int64_t> lengths;
  size_t d = 0;
  for (size_t e = 0; e < entries; ++e) {
    if (Bit(given, "ellipsis_mask", e)) {
      for (size_t left = shape.size() - std::min(shape.size(), taken); left > 0; --left) {
        lengths.push_back(shape[d++]);
      }
    } else if (Bit(given, "new_axis_mask", e)) {
      lengths.push_back(1);
    } else {
      if (d == shape.size()) {
        return call.Fail(Format("{} entries for {}", entries, ToText(shape)));
      }
      const int64_t length = LengthOfEntry(call, e, shape[d++], begin, end, strides);
      if (!Bit(given, "shrink_axis_mask", e)) lengths.push_back(length);
    }
  }
  while (d < shape.size()) lengths.push_back(shape[d++]);
  if (lengths.size() > kMaxDims) return call.Fail(Format("makes over {} dims", kMaxDims));
  return ResultTypeList{{call.dtype(0), ToDims(lengths)}};
}

Result<ResultTypeList> Slice(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> begin, call.Ints("begin"));
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<int64_t> size, call.Ints("size"));
  TensorType result = call.input(0);
  bool fits = begin.size() == result.shape.size() && size.size() == begin.size();
  for (size_t d = 0; fits && d < begin.size(); ++d) {
    const int64_t whole = result.shape[d];
    fits = begin[d] >= 0 && begin[d] <= whole;
    if (!fits) break;
    const int64_t left = whole - begin[d];
    result.shape[d] = size[d] == -1 ? left : size[d];
    fits = result.shape[d] >= 0 && result.shape[d] <= left;
  }
  if (!fits) {
    return call.Fail(Format("begin {} and size {} are not within {}", TextOf(begin), TextOf(size),
                            ToText(call.shape(0))));
  }
  return ResultTypeList{result};
}

Result<ResultTypeList> SliceExt(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t begin, call.Int("start"));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t end, call.Int("end"));
  const int64_t step = call.attributes().GetInt("step", 1);
  if (step < 1) return call.Fail(Format("cannot step by {}", step));
  return Pieces(call, axis, {StepCount(call.shape(0)[axis], begin, end, step)});
}

Result<ResultTypeList> Narrow(const ShapeCall& call) {
  RELAYOUT_RETURN_IF_ERROR(call.ExpectInputs(1));
  RELAYOUT_ASSIGN_OR_RETURN(const size_t axis, AxisBy(call, "dim", 0));
  RELAYOUT_ASSIGN_OR_RETURN(const int64_t length, call.Int("length"));
  if (length < 0 || length > call.shape(0)[axis]) {
    return call.Fail(Format("{} of dim {} of {}", length, axis, ToText(call.shape(0))));
  }
  return Pieces(call, axis, {length});
}

}  // namespace

std::vector<ShapeRule> PartingShapes() {
  return {{"Chunk", Chunk},
          {"ChunkView", Chunk},
          {"Concat", Concat},
          {"Narrow", Narrow},
          {"NarrowView", Narrow},
          {"SelectExtView", SelectOne},
          {"Slice", Slice},
          {"SliceExt", SliceExt},
          {"SliceExtView", SliceExt},
          {"Split", Split},
          {"SplitTensor", SplitTensor},
          {"SplitTensorView", SplitTensor},
          {"SplitWithSize", SplitWithSize},
          {"SplitWithSizeView", SplitWithSize},
          {"Stack", Stack},
          {"StackExt", StackExt},
          {"StridedSlice", StridedSlice},
          {"Unstack", Unstack},
          {"UnstackExtView", UnstackView}};
}

}  // namespace relayout
