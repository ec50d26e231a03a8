// SPDX-License-Identifier: Apache-2.0
//
// A Graph from a MindIR file, MindSpore's export format.
//
//   mindspore.export(net, x, file_name="net", file_format="MINDIR")     # Python, on any machine
//
//   RELAYOUT_ASSIGN_OR_RETURN(const Graph graph, ReadMindir(fs, "net.mindir"));
//   // x input f32[8,16]
//   // a.weight parameter f32[32,16]
//   // #0 MatMul (x, a.weight) -> f32[8,32] cuts ((2,1),(2,1)) transpose_a=false transpose_b=true
//
// What becomes of what the file holds:
// * Calls of sub-graphs are inlined. What orders side effects or makes tuples (Load, Depend,
//   UpdateState, MakeTuple, TupleGetItem) is dissolved, and so is what gives no tensor (Shape); a
//   tuple of tensors as an argument becomes that many inputs. An input of the network that is a
//   tuple becomes several, x.0, x.1 and so on.
// * Arguments of an operator that are no tensors become attributes by the names of
//   operator_types.h; so do the attributes of the primitive. None leaves no attribute.
// * Shard annotations: in_strategy -> cuts, out_strategy -> output_cuts, in_layout and out_layout
//   (of a Layout given to shard) -> mesh_cuts and output_mesh_cuts.
// * Parameters have their names as in checkpoints, in the order of the file. A parameter used
//   twice is one value.
// * Operators are called by their whole scope, "Default/a-Dense/MatMul-op0". Where one sub-graph is
//   called several times, its operators' names are there several times.
//
// A MindIR does not have stages, what cell.shard and mindspore.shard say, or which parameters are
// trained. Those of whole numbers, those that the
// network assigns to and the moving statistics of BatchNorm are taken as not trained, all others
// as trained.
//
// Only the graph is read, in windows. The values of constants are, when they are asked for (to run
// the network; small ones are there anyway). Those of parameters are read by mindir_parameters.h.
#pragma once

#include <string>

#include "relayout/base/status.h"
#include "relayout/format/mindspore/mindir.h"
#include "relayout/graph/graph.h"
#include "relayout/io/file_system.h"

namespace relayout {

// Reads the MindIR `path`; a directory stands for the only *.mindir in it. Errors name the path,
// and the operator where there is one. kUnsupported: control flow (if and while on values of the
// network), shapes that are not fixed, hash table parameters, encrypted files, operators of which
// it is not clear what is a tensor.
Result<Graph> ReadMindir(FileSystem& fs, const std::string& path,
                         const MindirReadOptions& options = {});

// The same from records, which ReadMindirModel gives. Errors name no file.
Result<Graph> GraphOfMindir(const MindirModel& model);

// The file that `path` is or stands for. kNotFound says what there is instead.
Result<std::string> FindMindir(FileSystem& fs, const std::string& path);

}  // namespace relayout
