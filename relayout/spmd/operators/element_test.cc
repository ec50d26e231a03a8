// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "tests/spmd/operators.h"

namespace relayout {
namespace {

using testing::ExpectSameOnPieces;
using testing::OperatorCase;

TEST(ElementOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type :
       {"Erf", "Exp", "GeLU", "GeluExt", "Identity", "Log", "Neg", "ReLU", "Rsqrt", "SiLU",
        "Sigmoid", "Sqrt", "Square", "StopGradient", "Tanh"}) {
    const bool wants_positive = type == "Rsqrt" || type == "Sqrt" || type == "Log";
    const double lowest = wants_positive ? 0.5 : -2;
    ExpectSameOnPieces({.type = type, .inputs = "f32[8,6]", .lowest = lowest});
    ExpectSameOnPieces({.type = type, .inputs = "f32[2,3,4]", .lowest = lowest});
  }
  ExpectSameOnPieces({"GeluExt", "f32[8,4]", {{"approximate", std::string("tanh")}}});
  ExpectSameOnPieces({"Pow", "f32[8,6]", {{"exponent", int64_t{3}}}});
  ExpectSameOnPieces({"PowTensorScalar", "f32[4,2,3]", {{"exponent", 2.5}}, 1, 0.5});
}

TEST(ElementOperators, CastOnPiecesIsAsOnWholes) {
  ExpectSameOnPieces({"Cast", "f32[8,6]", {{"dtype", int64_t{43}}}});
  ExpectSameOnPieces({"Cast", "f32[8,6]", {{"dtype", int64_t{34}}}, 0});
  ExpectSameOnPieces({"Cast", "i32[8,6]", {{"dtype", int64_t{43}}}, 0});
}

TEST(ArithmeticOperators, OnPiecesAreAsOnWholes) {
  for (const std::string type : {"Add", "AddExt", "Div", "Mul", "RealDiv", "Sub", "SubExt"}) {
    for (const std::string inputs : {"f32[8,6] f32[8,6]", "f32[8,6] f32[6]", "f32[6] f32[8,6]",
                                     "f32[4,1,6] f32[4,3,1]", "f32[] f32[8,3]", "f32[8,3] f32[]"}) {
      ExpectSameOnPieces({.type = type, .inputs = inputs, .lowest = 0.5});
    }
  }
}

TEST(ArithmeticOperators, TakeNumbers) {
  for (const std::string type :
       {"Add", "AddScalar", "Div", "Divs", "Mul", "Muls", "Sub", "SubScalar"}) {
    ExpectSameOnPieces(
        {.type = type, .inputs = "f32[8,6]", .attributes = {{"other", 2.5}}, .lowest = 0.5});
  }
  for (const std::string type : {"Add", "Div", "Mul", "Sub"}) {
    ExpectSameOnPieces(
        {.type = type, .inputs = "f32[8,6]", .attributes = {{"input", int64_t{3}}}, .lowest = 0.5});
  }
  ExpectSameOnPieces({"RealDiv", "f32[8,6]", {{"x", 2.5}}, 1, 0.5});
}

TEST(ArithmeticOperators, SumsOfManyOnPiecesAreAsOnWholes) {
  ExpectSameOnPieces({"AddN", "f32[8,6] f32[8,6] f32[8,6]"});
  ExpectSameOnPieces({"BiasAdd", "f32[8,6] f32[6]", {{"data_format", int64_t{0}}}});
  ExpectSameOnPieces({"BiasAdd", "f32[4,6,2] f32[6]"});
  ExpectSameOnPieces({"BiasAdd", "f32[4,6,6] f32[6]", {{"data_format", std::string("NHWC")}}});
}

}  // namespace
}  // namespace relayout
