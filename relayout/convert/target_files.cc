// SPDX-License-Identifier: Apache-2.0
#include "relayout/convert/target_files.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "relayout/base/byte_io.h"
#include "relayout/base/parallel.h"
#include "relayout/format/checkpoint_file.h"

namespace relayout {
namespace {

// The shape in which the file of `rank` holds values of `form`; nothing when it holds none.
std::optional<Dims> ShapeAt(const ValueForm& form, int64_t rank) {
  if (!form.IsStoredBy(rank)) return std::nullopt;
  for (const PlacedTensor& placed : form.targets) {
    const Layout& layout = placed.partition.layout();
    const int64_t local = rank - placed.first_rank;
    if (local < 0 || local >= layout.device_count()) continue;
    return placed.partition.BoxOf(layout.CellOf(local)).shape();
  }
  return std::nullopt;
}

std::vector<std::optional<Dims>> ShapesAt(const std::deque<ValueForm>& forms, int64_t rank) {
  std::vector<std::optional<Dims>> shapes;
  shapes.reserve(forms.size());
  for (const ValueForm& form : forms) shapes.push_back(ShapeAt(form, rank));
  return shapes;
}

std::string KeyOf(const std::vector<std::optional<Dims>>& shapes) {
  ByteWriter key;
  for (const auto& shape : shapes) {
    key.Int(shape ? 1 : 0);
    if (shape) WriteDims(key, *shape);
  }
  return key.Take();
}

// What is laid out; the headers and extents of a plan come from nowhere else.
Result<int64_t> LayOut(const Contents& contents, const FilePlan& plan, LayoutSink& sink) {
  const auto value_at = [&](size_t i) {
    const size_t position = plan.values[i];
    const TargetValue value = contents.values[position];
    const Dims& shape = *plan.shape_of_form[contents.values.FormOf(position)];
    return ValueView(value.name, value.kind, value.dtype, shape, {});
  };
  return LayOutFile(plan.format, plan.values.size(), value_at, sink, plan.metadata);
}

class ExtentCollector final : public LayoutSink {
 public:
  explicit ExtentCollector(ExtentLists& extents) : extents_(extents) {}
  Status AddHeader(int64_t /*offset_bytes*/, std::string_view /*bytes*/) override {
    return OkStatus();
  }
  void AddExtents(std::span<const Extent> extents) override { extents_.Add(extents); }

 private:
  ExtentLists& extents_;
};

Status FillPlan(const Contents& contents, FilePlan& plan) {
  plan.values.reserve(contents.values.size());
  for (size_t i = 0; i < contents.values.size(); ++i) {
    if (plan.shape_of_form[contents.values.FormOf(i)]) {
      plan.values.push_back(static_cast<uint32_t>(i));
    }
  }
  plan.values.shrink_to_fit();
  plan.extents.Reserve(plan.values.size());
  ExtentCollector extents(plan.extents);
  RELAYOUT_ASSIGN_OR_RETURN(plan.size_bytes, LayOut(contents, plan, extents));
  plan.extents.Shrink();
  for (const auto& places : plan.extents) plan.payload_bytes += TotalBytes(places);
  return OkStatus();
}

}  // namespace

std::span<const Extent> TargetFile::ExtentsOf(size_t value) const {
  // Mostly a file holds all values, or all but the first few.
  const std::vector<uint32_t>& values = plan->values;
  if (value < values.size() && values[value] == value) return plan->extents[value];
  const auto found = std::lower_bound(values.begin(), values.end(), value);
  RELAYOUT_CHECK(found != values.end() && *found == value);
  return plan->extents[static_cast<size_t>(found - values.begin())];
}

Result<std::vector<TargetFile>> PlanTargetFiles(const Contents& contents,
                                                const std::vector<int64_t>& ranks,
                                                FileFormat format, const FileMetadata& metadata,
                                                int thread_count) {
  std::vector<TargetFile> files;
  std::vector<std::shared_ptr<FilePlan>> plans;
  std::unordered_map<std::string, size_t> plan_of_key;
  for (const int64_t rank : ranks) {
    std::vector<std::optional<Dims>> shapes = ShapesAt(contents.values.forms(), rank);
    const auto [entry, is_new] = plan_of_key.emplace(KeyOf(shapes), plans.size());
    if (is_new) {
      plans.push_back(std::make_shared<FilePlan>());
      plans.back()->format = format;
      plans.back()->metadata = metadata;
      plans.back()->shape_of_form = std::move(shapes);
    }
    files.push_back({.rank = rank, .plan = plans[entry->second], .path = {}});
  }
  RELAYOUT_RETURN_IF_ERROR(ParallelFor(thread_count, std::ssize(plans), [&](int64_t i) {
    return FillPlan(contents, *plans[static_cast<size_t>(i)]);
  }));
  return files;
}

TargetFile PlanTextFile(int64_t rank, std::string text) {
  RELAYOUT_CHECK(!text.empty());
  auto plan = std::make_shared<FilePlan>();
  plan->size_bytes = std::ssize(text);
  plan->text = std::move(text);
  return {.rank = rank, .plan = std::move(plan), .path = {}};
}

FileFrame FrameOf(const Contents& contents, const TargetFile& file) {
  const FilePlan& plan = *file.plan;
  return {.size_bytes = plan.size_bytes,
          .payload_bytes = plan.payload_bytes,
          .lay_out = [&contents, &plan](LayoutSink& sink) {
            if (!plan.text.empty()) return sink.AddHeader(0, plan.text);
            return LayOut(contents, plan, sink).status();
          }};
}

}  // namespace relayout
