// SPDX-License-Identifier: Apache-2.0
//
// For tests: a model that is nothing but its state. Elements count up through the whole tensor, so
// that each rank's shard says where it is from.
//
//   FakeModel model(comm, {"w i32[4,2] @ (a,-)"}, "{a:2}");   // With w = 0 ... 7, rank 1 has 4 ...
//   7 model.View()
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/comm/comm.h"
#include "relayout/layout/notation.h"
#include "relayout/train/callback.h"

namespace relayout::testing_support {

class FakeModel {
 public:
  // `tensors` are a name and the notation without mesh; `mesh` is that of a stage, of which there
  // are stage_count, each with the same tensors. Element i of a tensor is i + base.
  FakeModel(Comm& comm, const std::vector<std::string>& tensors, const std::string& mesh,
            int64_t base = 0, int64_t stage_count = 1)
      : comm_(comm), place_(RankPlace::Of(comm.rank(), comm.size(), stage_count)) {
    for (const std::string& text : tensors) Add(text, mesh, base);
  }
  FakeModel(const FakeModel&) = delete;
  FakeModel& operator=(const FakeModel&) = delete;

  TrainingView View() { return {comm_, place_, state_}; }
  std::vector<StateTensor>& state() { return state_; }
  Tensor& operator[](size_t i) { return tensors_[i]; }

 private:
  void Add(const std::string& text, const std::string& mesh, int64_t base) {
    const size_t blank = text.find(' ');
    auto notation = ParseTensor(Format("{} {}", mesh, text.substr(blank + 1)));
    RELAYOUT_CHECK(notation.ok());
    const auto partition = Partition::Create(notation->layout, notation->shape);
    RELAYOUT_CHECK(partition.ok());
    const Box box = partition->BoxOf(notation->layout.CellOf(place_.local_rank()));
    Tensor& tensor = tensors_.emplace_back(notation->dtype, box.shape());
    Fill(tensor, box, notation->shape, base);
    state_.push_back({text.substr(0, blank), notation->shape, notation->layout, &tensor});
  }

  static void Fill(Tensor& tensor, const Box& box, const Dims& shape, int64_t base) {
    Dims index = box.begin;
    size_t i = 0;
    do {
      const int64_t value = base + OffsetIn(Box::Whole(shape), index);
      if (tensor.dtype() == DType::kInt32) {
        tensor.i32().data[i++] = static_cast<int32_t>(value);
      } else {
        tensor.f32().data[i++] = static_cast<float>(value);
      }
    } while (NextIndex(box.begin, box.end, index));
  }

  Comm& comm_;
  RankPlace place_;
  std::deque<Tensor> tensors_;  // Stay where they are.
  std::vector<StateTensor> state_;
};

// "0 1 2 3".
inline std::string ElementText(const Tensor& tensor) {
  std::string text;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (i > 0) text.append(" ");
    if (tensor.dtype() == DType::kInt32) {
      text.append(Format("{}", tensor.i32().data[i]));
    } else {
      text.append(Format("{}", tensor.f32().data[i]));
    }
  }
  return text;
}

}  // namespace relayout::testing_support
