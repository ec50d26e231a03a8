// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <utility>

#include "python/src/bindings.h"
#include "python/src/network_builder.h"
#include "python/src/run.h"
#include "python/src/text.h"
#include "relayout/base/text.h"
#include "relayout/format/strategy_file.h"
#include "relayout/graph/builder.h"
#include "relayout/graph/global_batch.h"
#include "relayout/graph/mindir.h"
#include "relayout/graph/training_loss.h"
#include "relayout/infer/infer_strategy.h"
#include "relayout/io/posix_file_system.h"

namespace nb = nanobind;

namespace relayout::python {
namespace {

// --- Networks -----------------------------------------------------------------------------------

nb::tuple TupleOfCuts(const Cuts& cuts) {
  nb::list list;
  for (const std::vector<int64_t>& input : cuts) list.append(TupleOf(input));
  return nb::tuple(list);
}

// (name, dtype, shape, trained) each.
nb::list ParametersOf(const Graph& graph) {
  nb::list list;
  for (const ValueId id : graph.parameters()) {
    const Value& value = graph.value(id);
    list.append(nb::make_tuple(TextFromMessage(value.name), std::string(ShortName(value.dtype)),
                               TupleOf(value.shape), value.trained));
  }
  return list;
}

nb::list InputsOf(const Graph& graph) {
  nb::list list;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    list.append(nb::make_tuple(TextFromMessage(value.name), std::string(ShortName(value.dtype)),
                               TupleOf(value.shape)));
  }
  return list;
}

// (type, name, cuts or None, shapes of its results) each.
nb::list OperatorsOf(const Graph& graph) {
  nb::list list;
  for (const Operator& op : graph.operators()) {
    nb::list shapes;
    for (const ValueId output : op.outputs) shapes.append(TupleOf(graph.value(output).shape));
    list.append(nb::make_tuple(TextFromMessage(op.type), TextFromMessage(op.name),
                               op.cuts ? nb::object(TupleOfCuts(*op.cuts)) : nb::none(),
                               nb::tuple(shapes)));
  }
  return list;
}

std::shared_ptr<Graph> Read(nb::handle path, bool constants) {
  const std::string file = PathFromPython(path);
  return std::make_shared<Graph>(RunBriefly<Graph>([&] {
    const auto fs = NewPosixFileSystem();
    return ReadMindir(*fs, file, {.constants = constants});
  }));
}

std::shared_ptr<Graph> Larger(const Graph& graph, int64_t factor) {
  if (factor < 1) ThrowIfFailed(InvalidInput(Format("a batch {} times as large", factor)));
  return std::make_shared<Graph>(RunBriefly<Graph>([&] { return WithGlobalBatch(graph, factor); }));
}

std::shared_ptr<Graph> Trained(const Graph& graph, const std::string& loss) {
  return std::make_shared<Graph>(ValueOrThrow(WithLoss(graph, ValueOrThrow(ParseLoss(loss)))));
}

// --- The builder --------------------------------------------------------------------------------

// What was just made; a mistake is raised where it happens.
BuiltTensor Sound(const std::shared_ptr<Builder>& builder, const NetworkTensor& tensor) {
  ThrowIfFailed(builder->net().TakeMistake());
  return {builder, tensor};
}

std::vector<NetworkTensor> TensorsOf(const std::vector<BuiltTensor>& built) {
  std::vector<NetworkTensor> tensors;
  for (const BuiltTensor& tensor : built) tensors.push_back(tensor.get());
  return tensors;
}

DType DTypeOf(const std::string& short_name) {
  const std::optional<DType> dtype = DTypeFromShortName(short_name);
  if (!dtype) ThrowIfFailed(InvalidInput(Format("{} is no element type", Printable(short_name))));
  return *dtype;
}

Dims ShapeOf(const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxDims) {
    ThrowIfFailed(InvalidInput(Format("{} dimensions: at most {} can be", shape.size(), kMaxDims)));
  }
  Dims dims;
  for (const int64_t length : shape) {
    if (length < 0) ThrowIfFailed(InvalidInput(Format("a dimension of {}", length)));
    dims.push_back(length);
  }
  return dims;
}

AttributeValue AttributeOf(nb::handle value) {
  if (nb::isinstance<nb::bool_>(value)) return nb::cast<bool>(value);
  if (int64_t integer = 0; nb::isinstance<nb::int_>(value)) {
    if (nb::try_cast(value, integer)) return integer;
    ThrowIfFailed(InvalidInput("an attribute is out of range"));
  }
  if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
  if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
  std::vector<int64_t> integers;
  if (nb::try_cast(value, integers)) return integers;
  std::vector<double> numbers;
  if (nb::try_cast(value, numbers)) return numbers;
  throw nb::type_error("an attribute is a bool, a number, a str, or a sequence of numbers");
}

Attributes AttributesOf(const nb::dict& dict) {
  Attributes attributes;
  for (const auto& [name, value] : dict) {
    if (!value.is_none()) attributes.Set(nb::cast<std::string>(name), AttributeOf(value));
  }
  return attributes;
}

void BindBuilder(nb::module_& module) {
  using Self = std::shared_ptr<Builder>;
  nb::class_<BuiltTensor>(module, "NetworkTensor", "See relayout/graph/builder.h.")
      .def_prop_ro("shape", [](const BuiltTensor& self) { return TupleOf(self.get().shape()); })
      .def_prop_ro("dtype", [](const BuiltTensor& self) {
        return std::string(ShortName(self.get().dtype()));
      });
  nb::class_<Builder>(module, "NetworkBuilder", "See relayout/graph/builder.h.")
      .def(nb::init<>())
      .def("input",
           [](const Self& self, const std::string& name, const std::vector<int64_t>& shape,
              const std::string& dtype) {
             return Sound(self, self->net().Input(name, ShapeOf(shape), DTypeOf(dtype)));
           })
      .def("parameter",
           [](const Self& self, const std::string& name, const std::vector<int64_t>& shape,
              const std::string& dtype, bool trained, const std::string& initializer) {
             return Sound(self, self->net().Parameter(name, ShapeOf(shape),
                                                      {.dtype = DTypeOf(dtype),
                                                       .trained = trained,
                                                       .initializer = initializer}));
           })
      .def("constant",
           [](const Self& self, const std::vector<int64_t>& shape, const std::string& dtype) {
             return Sound(self, self->net().Constant(ShapeOf(shape), DTypeOf(dtype)));
           })
      .def("constant_of",
           [](const Self& self, const std::vector<int64_t>& shape, const std::string& dtype,
              const nb::bytes& bytes) {
             const std::string_view held(bytes.c_str(), bytes.size());
             return Sound(self, self->net().Constant(ShapeOf(shape), DTypeOf(dtype), held));
           })
      .def("number",
           [](const Self& self, double number, const std::string& dtype) {
             return Sound(self, self->net().Number(number, DTypeOf(dtype)));
           })
      .def("apply",
           [](const Self& self, const std::string& type, const std::vector<BuiltTensor>& inputs,
              const nb::dict& attributes) {
             return Sound(self,
                          self->net().Apply(type, TensorsOf(inputs), AttributesOf(attributes)));
           })
      .def("cut", [](const Self& self, const BuiltTensor& tensor,
                     const Cuts& cuts) { Sound(self, tensor.get().Cut(cuts)); })
      .def("cut_outputs", [](const Self& self, const BuiltTensor& tensor,
                             const Cuts& cuts) { Sound(self, tensor.get().CutOutputs(cuts)); })
      .def("output",
           [](const Self& self, const BuiltTensor& tensor, int64_t index) {
             return Sound(self, tensor.get().Output(static_cast<size_t>(index)));
           })
      .def("enter", &Builder::Enter)
      .def("leave", &Builder::Leave)
      .def("build", [](const Builder& self, const std::vector<BuiltTensor>& results) {
        return std::make_shared<Graph>(ValueOrThrow(self.net().Build(TensorsOf(results))));
      });
}

// --- Strategies ---------------------------------------------------------------------------------

// As Python's infer_strategy() has them, checked there for their kinds.
InferOptions OptionsOf(const nb::dict& given) {
  InferOptions options;
  options.device_count = nb::cast<int64_t>(given["devices"]);
  options.training = nb::cast<bool>(given["training"]);
  options.optimizer = nb::cast<std::string>(given["optimizer"]);
  options.optimizer_parallel.enabled = nb::cast<bool>(given["optimizer_parallel"]);
  options.optimizer_parallel.threshold_kib = nb::cast<int64_t>(given["optimizer_threshold_kb"]);
  options.optimizer_parallel.group = nb::cast<int64_t>(given["optimizer_shard_size"]);
  options.full_batch = nb::cast<bool>(given["full_batch"]);
  options.stage_count = nb::cast<int64_t>(given["stages"]);
  for (const auto& [prefix, stage] : nb::cast<nb::dict>(given["stage"])) {
    options.stage_rules.push_back({nb::cast<std::string>(prefix), nb::cast<int64_t>(stage)});
  }
  options.frozen = nb::cast<std::vector<std::string>>(given["frozen"]);
  const auto mode = nb::cast<std::string>(given["mode"]);
  options.mode = mode == "semi_auto"     ? InferMode::kAnnotated
                 : mode == "propagation" ? InferMode::kPropagated
                                         : InferMode::kSearched;
  return options;
}

std::shared_ptr<InferredStrategy> Infer(const Graph& graph, const nb::dict& given) {
  const InferOptions options = OptionsOf(given);
  return std::make_shared<InferredStrategy>(
      RunBriefly<InferredStrategy>([&] { return InferStrategy(graph, options); }));
}

std::shared_ptr<Strategy> StrategyOf(const InferredStrategy& inferred) {
  std::vector<StageStrategy> stages;
  for (const StrategyFile& file : inferred.stages) {
    stages.push_back(file.stages.empty() ? StageStrategy{} : file.stages[0].layouts);
  }
  return std::make_shared<Strategy>(ValueOrThrow(Strategy::Create(std::move(stages))));
}

// (stage, type, name, cuts) of each operator.
nb::list CutsOf(const InferredStrategy& inferred) {
  nb::list list;
  for (size_t id = 0; id < inferred.layouts.size(); ++id) {
    const Operator& op = inferred.graph.operators()[id];
    list.append(nb::make_tuple(inferred.stage_of[id], TextFromMessage(op.type),
                               TextFromMessage(op.name), TupleOfCuts(inferred.layouts[id].cuts)));
  }
  return list;
}

// The file of one stage, or of all without one.
void Save(const InferredStrategy& inferred, std::optional<int64_t> stage, nb::handle path,
          bool overwrite) {
  const std::string target = PathFromPython(path);
  RunBriefly<bool>([&]() -> Result<bool> {
    const StrategyFile file =
        stage ? inferred.stages[static_cast<size_t>(*stage)] : MergedStages(inferred.stages);
    const std::string bytes =
        target.ends_with(".json") ? SerializeStrategyJson(file) : SerializeStrategyProtobuf(file);
    const auto fs = NewPosixFileSystem();
    RELAYOUT_RETURN_IF_ERROR(PublishFile(*fs, target, bytes, overwrite));
    return true;
  });
}

}  // namespace

void BindNetwork(nb::module_& module) {
  nb::class_<Graph>(module, "Graph", "See relayout/graph/graph.h.")
      .def("text", [](const Graph& self) { return TextFromMessage(ToText(self)); })
      .def("inputs", &InputsOf)
      .def("parameters", &ParametersOf)
      .def("operators", &OperatorsOf)
      .def("with_batch", &Larger)
      .def("with_loss", &Trained);
  BindBuilder(module);
  nb::class_<InferredStrategy>(module, "InferredStrategy", "See relayout/infer/infer_strategy.h.")
      .def_prop_ro("stage_count", [](const InferredStrategy& self) { return self.stages.size(); })
      .def_prop_ro("graph", [](const InferredStrategy& self) { return self.graph; })
      .def("strategy", &StrategyOf)
      .def("cuts", &CutsOf)
      .def("save", &Save, nb::arg("stage").none(), nb::arg("path"), nb::arg("overwrite"));
  module.def("read_mindir", &Read, nb::arg("path"), nb::arg("constants"));
  module.def("infer_strategy", &Infer, nb::arg("graph"), nb::arg("options"));
}

}  // namespace relayout::python
