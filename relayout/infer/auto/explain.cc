// SPDX-License-Identifier: Apache-2.0
#include "relayout/infer/auto/explain.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "relayout/base/check.h"
#include "relayout/base/text.h"
#include "relayout/infer/auto/search.h"

namespace relayout {
namespace {

using Row = std::vector<std::string>;

// Microseconds with three digits that count: "0", "1.23", "45.6", "12300".
std::string Micros(double seconds) {
  const double micros = seconds * 1e6;
  if (micros < 0.0005) return "0";
  const int decimals = std::clamp(2 - static_cast<int>(std::floor(std::log10(micros))), 0, 3);
  return Format("{:.{}f}", micros, decimals);
}

std::string Bytes(double bytes) { return HumanBytes(static_cast<int64_t>(bytes)); }

// Columns as wide as their widest entry; names and cuts to the left, numbers to the right.
std::string Align(const std::vector<Row>& rows) {
  std::vector<size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const bool left = c < 2 || c == 9;
      line += left ? Format("{:<{}}  ", row[c], widths[c]) : Format("{:>{}}  ", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

Row OperatorRow(std::string name, std::string cuts, const OperatorCost& cost) {
  return {std::move(name),
          std::move(cuts),
          Micros(cost.compute),
          Micros(cost.reduction),
          Micros(cost.gradient),
          Micros(cost.input),
          "0",
          "0",
          Bytes(cost.bytes_kept)};
}

Row EdgeRow(const Graph& graph, const EdgeCost& edge) {
  const std::string maker = Describe(graph.op(edge.from));
  if (edge.disagreement) {
    return {Format("  {}: cut otherwise by {}", Describe(graph, edge.value), maker)};
  }
  return {Format("  from {}", maker), "", "", "", "", "", Micros(edge.forward),
          Micros(edge.backward)};
}

std::string MachineText(const MachineModel& m) {
  return Format(
      "microseconds of a step by relayout's model: {:.3g} TFLOP/s and {:.3g} GB/s of memory a "
      "device, {:.3g} GB/s within a node of {}, {:.3g} GB/s between nodes, {:.3g} us a message\n",
      m.flops_per_second / 1e12, m.memory_bytes_per_second / 1e9, m.bytes_within_node / 1e9,
      Count(m.devices_per_node, "device"), m.bytes_between_nodes / 1e9, m.message_seconds * 1e6);
}

struct Totals {
  OperatorCost of_operators;
  double forward = 0;
  double backward = 0;
  int64_t disagreements = 0;
};

Totals Sum(const CostTable& cost) {
  Totals totals;
  for (const OperatorCost& c : cost.operators) {
    totals.of_operators.compute += c.compute;
    totals.of_operators.reduction += c.reduction;
    totals.of_operators.gradient += c.gradient;
    totals.of_operators.input += c.input;
    totals.of_operators.bytes_kept += c.bytes_kept;
  }
  for (const EdgeCost& edge : cost.edges) {
    totals.forward += edge.forward;
    totals.backward += edge.backward;
    totals.disagreements += edge.disagreement ? 1 : 0;
  }
  return totals;
}

std::string Table(const Graph& graph, const std::vector<OperatorAxes>& axes,
                  const Assignment& assignment, const CostTable& cost,
                  const std::vector<RunnerUp>* runners_up) {
  std::vector<Row> rows = {{"operator", "cuts", "compute", "reduce", "gradient", "input", "move",
                            "move back", "memory"}};
  if (runners_up != nullptr) rows[0].push_back("next best");
  size_t next_edge = 0;
  for (size_t id = 0; id < graph.operators().size(); ++id) {
    rows.push_back(OperatorRow(Describe(graph.operators()[id]),
                               ToText(ToCuts(axes[id], assignment.cuts[id])), cost.operators[id]));
    if (runners_up != nullptr && !(*runners_up)[id].cuts.empty()) {
      const RunnerUp& other = (*runners_up)[id];
      rows.back().push_back(
          Format("+{} {}", Micros(other.extra_seconds), ToText(ToCuts(axes[id], other.cuts))));
    }
    for (; next_edge < cost.edges.size() && cost.edges[next_edge].to == static_cast<OperatorId>(id);
         ++next_edge) {
      if (cost.edges[next_edge].total() > 0) rows.push_back(EdgeRow(graph, cost.edges[next_edge]));
    }
  }
  const Totals totals = Sum(cost);
  rows.push_back(OperatorRow("total", "", totals.of_operators));
  rows.back()[6] = Micros(totals.forward);
  rows.back()[7] = Micros(totals.backward);
  return Align(rows);
}

std::string Verdict(const CostTable& cost, const MachineModel& machine) {
  const Totals totals = Sum(cost);
  const OperatorCost& o = totals.of_operators;
  std::string text = Format(
      "a step: {} us; memory: {} of {} a device",
      Micros(o.compute + o.reduction + o.gradient + o.input + totals.forward + totals.backward),
      Bytes(cost.bytes_kept), HumanBytes(machine.bytes_per_device));
  if (totals.disagreements > 0) {
    text += Format("; {} cut differently by its users, which MindSpore refuses",
                   Count(totals.disagreements, "parameter"));
  }
  return text;
}

}  // namespace

std::string ExplainText(const Graph& graph, const SearchResult& result) {
  const Result<std::vector<OperatorAxes>> axes = AxesOfAll(graph);
  RELAYOUT_CHECK(axes.ok());  // The search had them.
  std::string text = MachineText(result.machine);
  text += Table(graph, *axes, result.assignment, result.cost, &result.runners_up);
  text += Verdict(result.cost, result.machine);
  if (!result.fits_memory) text += ", too much";
  text += result.is_optimal
              ? Format("\noptimal among all cuts ({} of {})\n",
                       Count(result.candidate_count, "candidate"),
                       Count(static_cast<int64_t>(graph.operators().size()), "operator"))
              : Format("\ngood, not known to be optimal: {} over short lists of {} candidates\n",
                       Count(result.rounds, "round"), result.candidate_count);
  return text;
}

Result<std::string> ExplainText(const Graph& graph, const Assignment& assignment,
                                const CostTable& cost, const MachineModel& machine) {
  RELAYOUT_ASSIGN_OR_RETURN(const std::vector<OperatorAxes> axes, AxesOfAll(graph));
  return MachineText(machine) + Table(graph, axes, assignment, cost, nullptr) +
         Verdict(cost, machine) + "\n";
}

}  // namespace relayout
