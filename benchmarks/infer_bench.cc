// SPDX-License-Identifier: Apache-2.0
//
// Times how long a GPT's strategy file takes to infer: annotated (tensor parallel by heads, data
// parallel beside it), propagated from the attention's annotations, and searched.
//
//   infer_bench [--layers 48] [--devices 1024] [--tensor-parallel 8] [--runs 3]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "relayout/base/text.h"
#include "relayout/graph/builder.h"
#include "relayout/infer/infer_strategy.h"

namespace relayout {
namespace {

struct Form {
  int64_t layers = 48;
  int64_t devices = 1024;
  int64_t tensor_parallel = 8;
  int64_t runs = 3;
  int64_t length = 2048;
  int64_t width = 8192;
  int64_t heads = 64;
};

class Gpt {
 public:
  Gpt(const Form& form, bool annotated) : form_(form), annotated_(annotated) {}

  Result<Graph> Build() {
    const int64_t rows = Data() * form_.length;
    const NetworkTensor ids = net_.Input("ids", {rows}, DType::kInt32);
    NetworkTensor x = Annotate(net_.Gather(net_.Parameter("embedding", {51200, form_.width}), ids),
                               {{1, 1}, {Data()}});
    for (int64_t layer = 0; layer < form_.layers; ++layer) {
      const Scope scope(net_, Format("layers.{}", layer));
      x = x + Attention(Norm("norm1", x));
      x = x + FeedForward(Norm("norm2", x));
    }
    x = Norm("norm", x);
    return net_.Build({net_.MatMul(x, net_.Parameter("head", {form_.width, 51200}))});
  }

 private:
  int64_t Data() const { return form_.devices / form_.tensor_parallel; }
  int64_t Parallel() const { return form_.tensor_parallel; }

  NetworkTensor Annotate(const NetworkTensor& tensor, Cuts cuts) const {
    return annotated_ ? tensor.Cut(std::move(cuts)) : tensor;
  }

  NetworkTensor Norm(const std::string& name, const NetworkTensor& x) {
    const Scope scope(net_, name);
    const NetworkTensor gamma = net_.Parameter("gamma", {form_.width});
    return net_.LayerNorm(x, gamma, net_.Parameter("beta", {form_.width}));
  }

  NetworkTensor Linear(const std::string& name, const NetworkTensor& x, int64_t width,
                       const Cuts& cuts) {
    const Scope scope(net_, name);
    const NetworkTensor w = net_.Parameter("weight", {x.dim(-1), width});
    const NetworkTensor y = Annotate(net_.MatMul(x, w), cuts);
    const int64_t columns = cuts[1][1];
    return Annotate(y + net_.Parameter("bias", {width}), {{Data(), columns}, {columns}});
  }

  NetworkTensor Heads(const std::string& name, const NetworkTensor& x) {
    const NetworkTensor y = Linear(name, x, form_.width, {{Data(), 1}, {1, Parallel()}});
    const int64_t width = form_.width / form_.heads;
    return Annotate(
        net_.Transpose(net_.Reshape(y, {Data(), form_.length, form_.heads, width}), {0, 2, 1, 3}),
        {{Data(), 1, Parallel(), 1}});
  }

  NetworkTensor Attention(const NetworkTensor& x) {
    const Scope scope(net_, "attention");
    const NetworkTensor q = Heads("q", x);
    const NetworkTensor k = Heads("k", x);
    const NetworkTensor v = Heads("v", x);
    const Cuts cuts = {{Data(), Parallel(), 1, 1}, {Data(), Parallel(), 1, 1}};
    NetworkTensor scores = Annotate(net_.BatchMatMul(q, k, {.transpose_b = true}), cuts);
    scores = Annotate(net_.Softmax(scores), {{Data(), Parallel(), 1, 1}});
    const NetworkTensor mixed =
        Annotate(net_.Transpose(Annotate(net_.BatchMatMul(scores, v), cuts), {0, 2, 1, 3}),
                 {{Data(), Parallel(), 1, 1}});
    return Linear("out", net_.Reshape(mixed, {Data() * form_.length, form_.width}), form_.width,
                  {{Data(), Parallel()}, {Parallel(), 1}});
  }

  NetworkTensor FeedForward(const NetworkTensor& x) {
    const Scope scope(net_, "feed_forward");
    const NetworkTensor up = Linear("up", x, 4 * form_.width, {{Data(), 1}, {1, Parallel()}});
    const NetworkTensor middle = Annotate(net_.GeLU(up), {{Data(), Parallel()}});
    return Linear("down", middle, form_.width, {{Data(), Parallel()}, {Parallel(), 1}});
  }

  const Form& form_;
  const bool annotated_;
  NetworkBuilder net_;
};

double Seconds(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int64_t PeakBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

Status Time(const Form& form, const std::string& name, InferMode mode, bool annotated) {
  RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, Gpt(form, annotated).Build());
  InferOptions options;
  options.device_count = form.devices;
  options.full_batch = true;
  options.optimizer = "adam";
  options.optimizer_parallel.enabled = true;
  options.mode = mode;
  std::vector<double> seconds;
  size_t bytes = 0;
  for (int64_t run = 0; run < form.runs; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    RELAYOUT_ASSIGN_OR_RETURN(const InferredStrategy inferred, InferStrategy(graph, options));
    bytes = SerializeStrategyProtobuf(inferred.stages[0]).size();
    seconds.push_back(Seconds(begin));
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf(
      "%-12s %zu operators, %zu parameters, %lld devices: median %.2f s, file %s, peak %s\n",
      name.c_str(), graph.operators().size(), graph.parameters().size(),
      static_cast<long long>(form.devices), seconds[seconds.size() / 2],
      HumanBytes(static_cast<int64_t>(bytes)).c_str(), HumanBytes(PeakBytes()).c_str());
  return OkStatus();
}

Status Run(const Form& form) {
  RELAYOUT_RETURN_IF_ERROR(Time(form, "annotated", InferMode::kAnnotated, true));
  RELAYOUT_RETURN_IF_ERROR(Time(form, "propagated", InferMode::kPropagated, true));
  return Time(form, "searched", InferMode::kSearched, false);
}

}  // namespace
}  // namespace relayout

int main(int argc, char** argv) {
  relayout::Form form;
  CLI::App app{"Times the inference of a GPT's strategy file."};
  app.add_option("--layers", form.layers)->capture_default_str();
  app.add_option("--devices", form.devices)->capture_default_str();
  app.add_option("--tensor-parallel", form.tensor_parallel)->capture_default_str();
  app.add_option("--runs", form.runs)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const relayout::Status status = relayout::Run(form);
  if (status.ok()) return 0;
  std::fprintf(stderr, "infer_bench: %s\n", status.message().c_str());
  return 1;
}
