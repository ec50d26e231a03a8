// SPDX-License-Identifier: Apache-2.0
//
// Networks with annotations, and where MindSpore 2.10 puts their parameters when it propagates them
// (parallel_mode auto_parallel, search_mode sharding_propagation): as its compiler wrote it to
// strategy files. For propagation_test.
//
// A network is its tensors, x the input (the part of one device, unless the batch is full), and a
// line an operator: number, type (.t: the second input transposed), inputs, for Reshape and
// Transpose a list, the annotation.
#pragma once

#include <cstdint>

namespace relayout {

struct PropagationCase {
  const char* title;
  int64_t device_count;
  bool training;
  bool full_batch;
  const char* network;
  const char* layouts;
};

// clang-format off
inline constexpr PropagationCase kPropagationCases[] = {
      {"users follow an annotated one", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64] w2[64,64] w3[64]
0 = MatMul x w0 ((2,1),(1,2))
1 = Add 0 w1
2 = ReLU 1
3 = MatMul 2 w2
4 = Add 3 w3)",
       R"(w0 {a:2,b:2,c:2} (-,b)
w1 {a:2,b:2,c:2} (b)
w2 {a:2,b:2,c:2} (b,c)
w3 {a:4,b:2} (b))"},
      {"makers follow an annotated one", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64] w2[64,64]
0 = MatMul x w0
1 = Add 0 w1
2 = ReLU 1
3 = MatMul 2 w2 ((2,2),(2,1)))",
       R"(w0 {a:2,b:2,c:2} (-,b)
w1 {a:2,b:2,c:2} (b)
w2 {a:2,b:2,c:2} (b,-))"},
      {"between two annotated ones", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64,64] w2[64] w3[64,64] w4[64]
0 = MatMul x w0 ((2,1),(1,2))
1 = ReLU 0
2 = MatMul 1 w1
3 = Add 2 w2
4 = ReLU 3
5 = MatMul 4 w3 ((2,2),(2,1))
6 = Add 5 w4)",
       R"(w0 {a:2,b:2,c:2} (-,b)
w1 {a:2,b:2,c:2} (-,b)
w2 {a:2,b:2,c:2} (b)
w3 {a:2,b:2,c:2} (b,-)
w4 {a:2,b:4} (-))"},
      {"annotations that contradict", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64] w2[64,64] w3[64]
0 = MatMul x w0 ((8,1),(1,1))
1 = Add 0 w1
2 = ReLU 1
3 = MatMul 2 w2 ((1,8),(8,1))
4 = Add 3 w3)",
       R"(w0 {a:8} (-,-)
w1 {a:8} (a)
w2 {a:8} (a,-)
w3 {a:8} (-))"},
      {"nothing annotated, the data set cut", 8, false, false,
       R"(x[32,64] w0[64,64] w1[64] w2[64,64]
0 = MatMul x w0
1 = Add 0 w1
2 = ReLU 1
3 = MatMul 2 w2)",
       R"(w0 {a:8} (-,-)
w1 {a:8} (-)
w2 {a:8} (-,-))"},
      {"nothing annotated, the data set whole", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64] w2[64,64]
0 = MatMul x w0
1 = Add 0 w1
2 = MatMul 1 w2)",
       R"(w0 {a:8} (-,a)
w1 {a:8} (a)
w2 {a:8} (a,-))"},
      {"a residual connection", 8, false, true,
       R"(x[32,64] w0[64,64] w1[64,64] w2[64,64] w3[64,64]
0 = MatMul x w0
1 = MatMul 0 w1 ((2,2),(2,1))
2 = ReLU 1
3 = MatMul 0 w2
4 = Tanh 3
5 = Add 2 4
6 = Add 5 0
7 = MatMul 6 w3)",
       R"(w0 {a:2,b:2,c:2} (-,b)
w1 {a:2,b:2,c:2} (b,-)
w2 {a:2,b:2,c:2} (-,b)
w3 {a:2,b:2,c:2} (b,c))"},
      {"random 5001", 8, false, false,
       R"(x[64,64] w00[64,128] w01[128,128] w02[128,32] w03[32,32] w04[128,32]
0 = ReLU x
1 = MatMul 0 w00 ((2,2),(2,2))
2 = MatMul 1 w01 ((2,2),(2,1))
3 = MatMul 2 w02
4 = MatMul 3 w03 ((1,2),(2,4))
5 = MatMul.t 4 w04 ((1,1),(8,1)))",
       R"(w00 {a:2,b:2,c:2} (b,c)
w01 {a:2,b:2,c:2} (b,-)
w02 {a:2,b:4} (-,a)
w03 {a:2,b:4} (a,b)
w04 {a:8} (a,-))"},
      {"random 5003", 8, false, false,
       R"(x[16,64] w00[64,128] w01[128] w02[128,128] w03[128,128] w04[128,32] w05[32,32] w06[32]
0 = MatMul x w00
1 = Add 0 w01
2 = MatMul 1 w02 ((2,1),(1,4))
3 = MatMul 2 w03
4 = MatMul 3 w04
5 = MatMul 4 w05
6 = Mul 5 w06)",
       R"(w00 {a:2,b:4} (-,-)
w01 {a:2,b:4} (-)
w02 {a:2,b:4} (-,b)
w03 {a:2,b:4} (b,-)
w04 {a:2,b:4} (-,b)
w05 {a:2,b:4} (b,-)
w06 {a:2,b:4} (-))"},
      {"random 5004", 8, false, true,
       R"(x[32,64] w00[32,64] w01[64,32] w02[64,64] w03[64,64]
0 = ReLU x
1 = MatMul.t 0 w00 ((1,4),(2,4))
2 = Tanh 1
3 = ReLU 2
4 = MatMul.t 3 w01
5 = MatMul 4 w02
6 = MatMul 5 w03 ((1,1),(1,8)))",
       R"(w00 {a:4,b:2} (b,a)
w01 {a:8} (-,-)
w02 {a:8} (-,-)
w03 {a:8} (-,a))"},
      {"random 5005", 8, false, false,
       R"(x[16,32] w00[32] w01[32,32] w02[32,32] w03[32,128]
0 = Add x w00
1 = MatMul 0 w01 ((1,1),(1,2))
2 = MatMul 1 w02
3 = MatMul 2 w03)",
       R"(w00 {a:8} (-)
w01 {a:2,b:4} (-,a)
w02 {a:2,b:4} (a,b)
w03 {a:2,b:4} (b,-))"},
      {"random 5006", 8, false, true,
       R"(x[16,32] w00[32] w01[32,32] w02[32,32] w03[32,32] w04[32,32] w05[32,32] w06[32]
0 = Mul x w00
1 = MatMul 0 w01
2 = MatMul 1 w02 ((1,1),(1,8))
3 = MatMul 2 w03
4 = MatMul 3 w04 ((1,4),(4,1))
5 = Tanh 4
6 = MatMul 5 w05 ((8,1),(1,1))
7 = Add 6 w06)",
       R"(w00 {a:8} (-)
w01 {a:8} (-,-)
w02 {a:8} (-,a)
w03 {a:4,b:2} (-,a)
w04 {a:4,b:2} (a,-)
w05 {a:8} (-,-)
w06 {a:8} (-))"},
      {"random 5007", 8, false, false,
       R"(x[16,64] w00[64,64] w01[64] w02[64,32] w03[128,32] w04[128,128] w05[128] w06[128]
0 = MatMul x w00 ((2,2),(2,2))
1 = ReLU 0 ((2,2))
2 = Mul 1 w01 ((2,4),(4))
3 = MatMul 2 w02 ((1,1),(1,8))
4 = MatMul.t 3 w03
5 = MatMul 4 w04
6 = Tanh 5
7 = Add 6 w05 ((4,2),(2))
8 = Add 7 w06)",
       R"(w00 {a:2,b:2,c:2} (b,c)
w01 {a:2,b:4} (b)
w02 {a:8} (-,a)
w03 {a:4,b:2} (-,-)
w04 {a:4,b:2} (-,b)
w05 {a:4,b:2} (b)
w06 {a:4,b:2} (b))"},
      {"random 5008", 8, false, true,
       R"(x[16,32] w00[64,32] w01[64,32] w02[32,64] w03[64,64] w04[128,64]
0 = MatMul.t x w00 ((1,1),(8,1))
1 = MatMul 0 w01
2 = MatMul 1 w02 ((2,1),(1,2))
3 = MatMul 2 w03
4 = MatMul.t 3 w04 ((4,1),(2,1)))",
       R"(w00 {a:8} (a,-)
w01 {a:2,b:4} (-,-)
w02 {a:2,b:2,c:2} (-,b)
w03 {a:4,b:2} (-,-)
w04 {a:4,b:2} (b,-))"},
      {"random 5009", 8, false, false,
       R"(x[64,64] w00[64,64] w01[64]
0 = ReLU x
1 = ReLU 0
2 = MatMul 1 w00 ((1,2),(2,4))
3 = Mul 2 w01 ((8,1),(1)))",
       R"(w00 {a:2,b:4} (a,b)
w01 {a:8} (-))"},
      {"random 6002", 8, false, true,
       R"(x[16,32] w00[32,32] w01[32,32] w02[32] w03[32,32] w04[32,32] w05[32]
0 = MatMul x w00
1 = ReLU 0
2 = Tanh 1
3 = MatMul 2 w01 ((2,1),(1,2))
4 = Mul 3 w02 ((8,1),(1))
5 = MatMul.t 4 w03 ((1,2),(4,2))
6 = MatMul.t 5 w04 ((4,2),(1,2))
7 = Add 6 w05 ((1,8),(8)))",
       R"(w00 {a:2,b:4} (-,-)
w01 {a:2,b:2,c:2} (-,b)
w02 {a:8} (-)
w03 {a:2,b:4} (b,a)
w04 {a:4,b:2} (-,b)
w05 {a:8} (a))"},
      {"random 6003", 8, false, false,
       R"(x[32,64] w00[64,64] w01[64,128] w02[128,128] w03[128,128] w04[128] w05[128,64]
w06[64,32]
0 = MatMul x w00 ((2,1),(1,2))
1 = MatMul 0 w01
2 = MatMul 1 w02
3 = MatMul 2 w03
4 = Add 3 w04
5 = MatMul 4 w05
6 = MatMul 5 w06)",
       R"(w00 {a:2,b:2,c:2} (-,b)
w01 {a:2,b:2,c:2} (b,c)
w02 {a:4,b:2} (b,-)
w03 {a:4,b:2} (-,b)
w04 {a:4,b:2} (b)
w05 {a:4,b:2} (b,-)
w06 {a:4,b:2} (-,b))"},
      {"random 6004", 8, false, true,
       R"(x[64,64] w00[128,64] w01[128,128] w02[128,128]
0 = ReLU x
1 = MatMul.t 0 w00
2 = MatMul 1 w01
3 = MatMul 2 w02 ((4,2),(2,1))
4 = Add 3 2)",
       R"(w00 {a:4,b:2} (-,-)
w01 {a:4,b:2} (-,b)
w02 {a:4,b:2} (b,-))"},
      {"random 6005", 8, false, false,
       R"(x[16,64] w00[64] w01[64]
0 = Add x w00
1 = Add x 0
2 = Tanh 1
3 = ReLU 2
4 = Mul 3 x
5 = ReLU 4 ((2,1))
6 = Add 1 5
7 = Add 6 w01 ((2,2),(2)))",
       R"(w00 {a:2,b:2,c:2} (b)
w01 {a:2,b:2,c:2} (b))"},
      {"random 6007", 8, false, false,
       R"(x[32,64] w00[64] w01[64,128] w02[128,128] w03[128,32] w04[32]
0 = Mul x w00
1 = MatMul 0 w01
2 = MatMul.t 1 w02
3 = MatMul 2 w03 ((2,4),(4,1))
4 = Mul 3 w04)",
       R"(w00 {a:2,b:4} (-)
w01 {a:2,b:4} (-,-)
w02 {a:2,b:4} (b,-)
w03 {a:2,b:4} (b,-)
w04 {a:2,b:4} (-))"},
      {"random 6013", 8, false, false,
       R"(x[64,32] w00[64,32] w01[64,128] w02[128,32] w03[32,128]
0 = MatMul.t x w00
1 = ReLU 0 ((1,1))
2 = MatMul 1 w01
3 = MatMul 2 w02 ((4,1),(1,2))
4 = MatMul 3 w03 ((2,1),(1,4)))",
       R"(w00 {a:8} (-,-)
w01 {a:4,b:2} (-,-)
w02 {a:4,b:2} (-,b)
w03 {a:2,b:4} (-,b))"},
      {"random 6014", 8, false, true,
       R"(x[64,32] w00[32,64] w01[64] w02[64,64] w03[64] w04[64,128]
0 = GeLU x
1 = MatMul 0 w00 ((4,1),(1,1))
2 = Mul 1 w01
3 = MatMul 2 w02
4 = Mul 3 w03 ((1,2),(2))
5 = ReLU 4
6 = MatMul 5 w04 ((2,1),(1,1))
7 = ReLU 6)",
       R"(w00 {a:4,b:2} (-,-)
w01 {a:8} (-)
w02 {a:2,b:4} (-,a)
w03 {a:2,b:4} (a)
w04 {a:2,b:4} (-,-))"},
      {"random 6015", 8, false, false,
       R"(x[64,32] w00[128,32] w01[128,128] w02[64,128] w03[64,64] w04[64,64] w05[64,128]
w06[64,128]
0 = MatMul.t x w00
1 = MatMul 0 w01
2 = MatMul.t 1 w02
3 = Tanh 2
4 = MatMul 3 w03
5 = MatMul 4 w04 ((2,2),(2,1))
6 = MatMul 5 w05 ((2,4),(4,1))
7 = MatMul.t 6 w06
8 = Add 7 3 ((1,1),(1,1)))",
       R"(w00 {a:8} (-,-)
w01 {a:8} (-,-)
w02 {a:8} (-,-)
w03 {a:2,b:2,c:2} (-,b)
w04 {a:2,b:2,c:2} (b,-)
w05 {a:2,b:4} (b,-)
w06 {a:8} (-,-))"},
      {"random 6016", 8, false, true,
       R"(x[64,32] w00[32,32] w01[32,32] w02[32,32]
0 = ReLU x ((4,1))
1 = Add x 0
2 = Add 1 0
3 = GeLU 2
4 = ReLU 3
5 = MatMul 4 w00
6 = MatMul 5 w01
7 = MatMul 6 w02 ((2,1),(1,1)))",
       R"(w00 {a:2,b:4} (-,-)
w01 {a:2,b:4} (-,-)
w02 {a:2,b:4} (-,-))"},
      {"random 7002", 16, false, true,
       R"(x[64,32] w00[32,32] w01[32,64] w02[64] w03[64,64] w04[64,128]
0 = Tanh x
1 = Mul 0 x
2 = MatMul 1 w00
3 = Tanh 2
4 = MatMul 3 w01 ((16,1),(1,1))
5 = Mul 4 w02
6 = MatMul 5 w03
7 = MatMul 6 w04)",
       R"(w00 {a:16} (-,-)
w01 {a:16} (-,-)
w02 {a:16} (-)
w03 {a:16} (-,-)
w04 {a:16} (-,-))"},
      {"random 7003", 16, false, false,
       R"(x[64,32] w00[32,64] w01[128,64] w02[32,128] w03[32,32]
0 = MatMul x w00 ((4,4),(4,1))
1 = MatMul.t 0 w01
2 = Tanh 1
3 = MatMul.t 2 w02 ((1,1),(1,1))
4 = MatMul 3 w03 ((2,4),(4,1))
5 = GeLU 4)",
       R"(w00 {a:4,b:4} (b,-)
w01 {a:16} (-,-)
w02 {a:16} (-,-)
w03 {a:2,b:4,c:2} (b,-))"},
      {"random 7008", 16, false, true,
       R"(x[32,64] w00[64,32] w01[32,32] w02[32]
0 = ReLU x ((1,2))
1 = GeLU 0 ((8,2))
2 = MatMul 1 w00 ((1,16),(16,1))
3 = MatMul 2 w01 ((1,8),(8,2))
4 = Mul 3 w02 ((1,4),(4)))",
       R"(w00 {a:16} (a,-)
w01 {a:8,b:2} (a,b)
w02 {a:4,b:4} (a))"},
      {"random 7009", 16, false, false,
       R"(x[32,64] w00[64,64] w01[64,64] w02[64] w03[64] w04[64,32]
0 = MatMul x w00 ((8,2),(2,1))
1 = MatMul 0 w01
2 = Mul 1 w02
3 = Add 2 w03
4 = MatMul 3 w04 ((16,1),(1,1)))",
       R"(w00 {a:8,b:2} (b,-)
w01 {a:16} (-,-)
w02 {a:16} (-)
w03 {a:16} (-)
w04 {a:16} (-,-))"},
      {"random 8002", 4, false, true,
       R"(x[64,32] w00[32] w01[32,128] w02[128,128] w03[128] w04[32,128]
0 = Add x w00
1 = MatMul 0 w01
2 = MatMul 1 w02 ((1,1),(1,4))
3 = Add 1 2
4 = Tanh 3
5 = Add 4 w03
6 = MatMul.t 5 w04)",
       R"(w00 {a:4} (-)
w01 {a:4} (-,-)
w02 {a:4} (-,a)
w03 {a:4} (a)
w04 {a:4} (-,a))"},
      {"random 8003", 4, false, false,
       R"(x[16,64] w00[64,64] w01[64,64] w02[64,64]
0 = MatMul x w00 ((1,2),(2,2))
1 = MatMul 0 w01
2 = Tanh 1
3 = MatMul.t 2 w02
4 = Add 3 x)",
       R"(w00 {a:2,b:2} (a,b)
w01 {a:2,b:2} (b,-)
w02 {a:2,b:2} (b,-))"},
      {"random 8004", 4, false, true,
       R"(x[32,32] w00[128,32] w01[128,128] w02[128,128] w03[128] w04[128,64] w05[64]
0 = ReLU x
1 = MatMul.t 0 w00
2 = MatMul.t 1 w01 ((1,4),(1,4))
3 = Add 1 2
4 = MatMul 3 w02
5 = Mul 4 w03
6 = MatMul 5 w04
7 = Add 6 w05)",
       R"(w00 {a:4} (a,-)
w01 {a:4} (-,a)
w02 {a:4} (a,-)
w03 {a:4} (-)
w04 {a:4} (-,a)
w05 {a:4} (a))"},
      {"attention 9001", 8, false, true,
       R"(x[128,64] w00[64] w01[64] w02[64,64] w03[64,64] w04[64,64] w05[64] w06[64,64]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02
2 = Reshape 1 [8,16,4,16]
3 = Transpose 2 [0,2,1,3]
4 = MatMul 0 w03
5 = Reshape 4 [8,16,4,16]
6 = Transpose 5 [0,2,1,3]
7 = MatMul 0 w04 ((1,1),(1,8))
8 = Add 7 w05
9 = Reshape 8 [8,16,4,16]
10 = Transpose 9 [0,2,1,3]
11 = BatchMatMul.t 3 6 ((2,2,2,1),(2,2,1,1))
12 = Softmax 11
13 = BatchMatMul 12 10
14 = Transpose 13 [0,2,1,3]
15 = Reshape 14 [128,64]
16 = MatMul 15 w06
17 = Add x 16)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:2,b:2,c:2} (-,b)
w03 {a:2,b:2,c:2} (-,b)
w04 {a:8} (-,a)
w05 {a:8} (a)
w06 {a:8} (a,-))"},
      {"attention 9004", 8, false, true,
       R"(x[256,64] w00[64,64] w01[64] w02[64,64] w03[64,64] w04[64,64] w05[64]
0 = MatMul.t x w00 ((1,4),(2,4))
1 = Add 0 w01
2 = Reshape 1 [16,16,4,16]
3 = Transpose 2 [0,2,1,3] ((1,1,4,2))
4 = MatMul x w02 ((1,1),(1,8))
5 = Reshape 4 [16,16,4,16]
6 = Transpose 5 [0,2,1,3]
7 = MatMul x w03
8 = Reshape 7 [16,16,4,16]
9 = Transpose 8 [0,2,1,3]
10 = BatchMatMul.t 3 6
11 = Softmax 10
12 = BatchMatMul 11 9
13 = Transpose 12 [0,2,1,3]
14 = Reshape 13 [256,64]
15 = MatMul 14 w04
16 = Add 15 w05
17 = Add 16 x)",
       R"(w00 {a:4,b:2} (b,a)
w01 {a:8} (a)
w02 {a:8} (-,a)
w03 {a:8} (-,a)
w04 {a:8} (a,-)
w05 {a:8} (-))"},
      {"attention 9007", 8, false, true,
       R"(x[128,32] w00[32] w01[32] w02[32,32] w03[32] w04[32,32] w05[32,32] w06[32] w07[32,32]
w08[32] w09[32] w10[64,32] w11[64,32]
0 = LayerNorm x w00 w01
1 = MatMul.t 0 w02 ((2,4),(1,4))
2 = Add 1 w03 ((1,8),(8))
3 = Reshape 2 [16,8,4,8]
4 = Transpose 3 [0,2,1,3]
5 = MatMul 0 w04
6 = Reshape 5 [16,8,4,8]
7 = Transpose 6 [0,2,1,3]
8 = MatMul 0 w05 ((2,1),(1,4))
9 = Add 8 w06
10 = Reshape 9 [16,8,4,8]
11 = Transpose 10 [0,2,1,3]
12 = BatchMatMul.t 4 7
13 = Softmax 12
14 = BatchMatMul 13 11 ((1,4,2,1),(1,4,1,1))
15 = Transpose 14 [0,2,1,3]
16 = Reshape 15 [128,32]
17 = MatMul 16 w07 ((1,2),(2,2))
18 = Add 17 x
19 = LayerNorm 18 w08 w09
20 = MatMul.t 19 w10 ((1,8),(1,8))
21 = GeLU 20
22 = MatMul 21 w11 ((8,1),(1,1))
23 = Add 18 22)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:2,b:4} (-,b)
w03 {a:8} (a)
w04 {a:4,b:2} (-,a)
w05 {a:2,b:4} (-,b)
w06 {a:4,b:2} (a)
w07 {a:2,b:2,c:2} (a,b)
w08 {a:8} (-)
w09 {a:8} (-)
w10 {a:8} (-,a)
w11 {a:8} (-,-))"},
      {"attention 9008", 8, false, true,
       R"(x[256,64] w00[64,64] w01[64,64] w02[64] w03[64,64] w04[64,64] w05[64] w06[64]
w07[64,128] w08[128,64]
0 = MatMul x w00 ((2,1),(1,4))
1 = Reshape 0 [16,16,8,8]
2 = Transpose 1 [0,2,1,3]
3 = MatMul x w01 ((1,2),(2,4))
4 = Add 3 w02
5 = Reshape 4 [16,16,8,8]
6 = Transpose 5 [0,2,1,3]
7 = MatMul.t x w03
8 = Reshape 7 [16,16,8,8]
9 = Transpose 8 [0,2,1,3]
10 = BatchMatMul.t 2 6 ((1,1,4,1),(1,1,2,1))
11 = Softmax 10
12 = BatchMatMul 11 9 ((8,1,1,1),(8,1,1,1))
13 = Transpose 12 [0,2,1,3]
14 = Reshape 13 [256,64]
15 = MatMul.t 14 w04
16 = Add x 15
17 = LayerNorm 16 w05 w06
18 = MatMul 17 w07 ((2,1),(1,4))
19 = GeLU 18
20 = MatMul 19 w08 ((2,1),(1,4))
21 = Add 20 16)",
       R"(w00 {a:2,b:4} (-,b)
w01 {a:2,b:4} (a,b)
w02 {a:8} (-)
w03 {a:8} (-,-)
w04 {a:8} (-,-)
w05 {a:2,b:4} (-)
w06 {a:2,b:4} (-)
w07 {a:2,b:4} (-,b)
w08 {a:2,b:4} (-,b))"},
      {"attention 9010", 8, false, true,
       R"(x[64,32] w00[32] w01[32] w02[32,32] w03[32,32] w04[32,32] w05[32] w06[32,32] w07[32]
w08[32,64] w09[64,32]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02
2 = Reshape 1 [8,8,8,4]
3 = Transpose 2 [0,2,1,3] ((4,2,1,1))
4 = MatMul 0 w03 ((1,2),(2,1))
5 = Reshape 4 [8,8,8,4]
6 = Transpose 5 [0,2,1,3]
7 = MatMul 0 w04 ((4,2),(2,1))
8 = Add 7 w05 ((2,2),(2))
9 = Reshape 8 [8,8,8,4]
10 = Transpose 9 [0,2,1,3]
11 = BatchMatMul.t 3 6 ((1,4,2,1),(1,4,1,1))
12 = Softmax 11
13 = BatchMatMul 12 10 ((8,1,1,1),(8,1,1,1))
14 = Transpose 13 [0,2,1,3]
15 = Reshape 14 [64,32]
16 = MatMul 15 w06
17 = Add 16 w07
18 = Add x 17
19 = MatMul 18 w08 ((1,2),(2,2))
20 = ReLU 19
21 = MatMul 20 w09
22 = Add 21 18)",
       R"(w00 {a:4,b:2} (-)
w01 {a:4,b:2} (-)
w02 {a:4,b:2} (-,-)
w03 {a:2,b:4} (a,-)
w04 {a:4,b:2} (b,-)
w05 {a:2,b:2,c:2} (b)
w06 {a:8} (-,-)
w07 {a:8} (-)
w08 {a:2,b:2,c:2} (a,b)
w09 {a:8} (-,-))"},
      {"attention 9011", 8, false, true,
       R"(x[256,64] w00[64] w01[64] w02[64,64] w03[64,64] w04[64,64] w05[64,64]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02 ((8,1),(1,1))
2 = Reshape 1 [16,16,8,8]
3 = Transpose 2 [0,2,1,3]
4 = MatMul.t 0 w03 ((1,2),(4,2))
5 = Reshape 4 [16,16,8,8]
6 = Transpose 5 [0,2,1,3]
7 = MatMul 0 w04
8 = Reshape 7 [16,16,8,8]
9 = Transpose 8 [0,2,1,3]
10 = BatchMatMul.t 3 6 ((1,8,1,1),(1,8,1,1))
11 = Softmax 10
12 = BatchMatMul 11 9 ((1,1,8,1),(1,1,1,1))
13 = Transpose 12 [0,2,1,3]
14 = Reshape 13 [256,64]
15 = MatMul.t 14 w05 ((8,1),(1,1))
16 = Add x 15)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:8} (-,-)
w03 {a:2,b:4} (b,a)
w04 {a:8} (-,-)
w05 {a:8} (-,-))"},
      {"attention 9012", 8, false, true,
       R"(x[256,64] w00[64] w01[64] w02[64,64] w03[64,64] w04[64] w05[64,64] w06[64] w07[64,64]
w08[64] w09[64] w10[128,64] w11[64,128]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02
2 = Reshape 1 [16,16,8,8]
3 = Transpose 2 [0,2,1,3]
4 = MatMul.t 0 w03
5 = Add 4 w04
6 = Reshape 5 [16,16,8,8]
7 = Transpose 6 [0,2,1,3]
8 = MatMul 0 w05
9 = Add 8 w06 ((1,2),(2))
10 = Reshape 9 [16,16,8,8]
11 = Transpose 10 [0,2,1,3]
12 = BatchMatMul.t 3 7
13 = Softmax 12
14 = BatchMatMul 13 11
15 = Transpose 14 [0,2,1,3]
16 = Reshape 15 [256,64]
17 = MatMul.t 16 w07
18 = Add x 17
19 = LayerNorm 18 w08 w09
20 = MatMul.t 19 w10
21 = GeLU 20
22 = MatMul.t 21 w11 ((1,1),(4,1))
23 = Add 22 18)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:2,b:4} (-,a)
w03 {a:2,b:4} (a,-)
w04 {a:2,b:4} (a)
w05 {a:2,b:4} (-,a)
w06 {a:2,b:4} (a)
w07 {a:2,b:4} (-,a)
w08 {a:8} (-)
w09 {a:8} (-)
w10 {a:8} (-,-)
w11 {a:4,b:2} (a,-))"},
      {"attention 9013", 8, false, true,
       R"(x[256,64] w00[64] w01[64] w02[64,64] w03[64,64] w04[64] w05[64,64] w06[64,64]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02
2 = Reshape 1 [16,16,4,16]
3 = Transpose 2 [0,2,1,3]
4 = MatMul.t 0 w03
5 = Add 4 w04
6 = Reshape 5 [16,16,4,16]
7 = Transpose 6 [0,2,1,3] ((2,4,1,1))
8 = MatMul.t 0 w05
9 = Reshape 8 [16,16,4,16]
10 = Transpose 9 [0,2,1,3]
11 = BatchMatMul.t 3 7
12 = Softmax 11
13 = BatchMatMul 12 10
14 = Transpose 13 [0,2,1,3]
15 = Reshape 14 [256,64]
16 = MatMul 15 w06
17 = Add x 16 ((8,1),(8,1)))",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:8} (-,-)
w03 {a:2,b:4} (-,-)
w04 {a:2,b:4} (-)
w05 {a:8} (-,-)
w06 {a:8} (-,-))"},
      {"training: between two annotated ones", 8, true, true,
       R"(x[32,64] w0[64,64] w1[64,64] w2[64] w3[64,64] w4[64]
0 = MatMul x w0 ((2,1),(1,2))
1 = ReLU 0
2 = MatMul 1 w1
3 = Add 2 w2
4 = ReLU 3
5 = MatMul 4 w3 ((2,2),(2,1))
6 = Add 5 w4)",
       R"(w0 {a:2,b:2,c:2} (-,b)
w1 {a:2,b:2,c:2} (b,c)
w2 {a:4,b:2} (b)
w3 {a:2,b:2,c:2} (b,-)
w4 {a:2,b:4} (-))"},
      {"training: random 15001", 8, true, false,
       R"(x[64,64] w00[64,128] w01[128] w02[32,128] w03[32] w04[32,32]
0 = MatMul x w00 ((1,4),(4,1))
1 = GeLU 0 ((1,1))
2 = Add 1 w01 ((1,8),(8))
3 = MatMul.t 2 w02
4 = Mul 3 w03 ((2,2),(2))
5 = Add 4 3
6 = MatMul 5 w04 ((4,2),(2,1))
7 = Add 6 5)",
       R"(w00 {a:4,b:2} (a,-)
w01 {a:8} (a)
w02 {a:8} (-,a)
w03 {a:2,b:2,c:2} (b)
w04 {a:4,b:2} (b,-))"},
      {"training: random 15003", 8, true, false,
       R"(x[64,32] w00[32,32] w01[32,32] w02[64,32] w03[64]
0 = MatMul.t x w00
1 = MatMul 0 w01 ((1,2),(2,2))
2 = MatMul.t 1 w02
3 = Add 2 w03
4 = Add 3 2
5 = Mul 3 4 ((1,2),(1,2)))",
       R"(w00 {a:2,b:4} (a,-)
w01 {a:2,b:2,c:2} (a,b)
w02 {a:2,b:2,c:2} (c,b)
w03 {a:4,b:2} (b))"},
      {"training: random 15004", 8, true, true,
       R"(x[16,64] w00[64] w01[64,64] w02[64,128] w03[128] w04[64,128] w05[64]
0 = Mul x w00
1 = MatMul 0 w01 ((2,1),(1,2))
2 = MatMul 1 w02 ((2,4),(4,1))
3 = Add 2 w03
4 = MatMul.t 3 w04
5 = Mul 4 w05 ((8,1),(1))
6 = Add x 5
7 = Mul x 6)",
       R"(w00 {a:2,b:4} (-)
w01 {a:2,b:2,c:2} (-,b)
w02 {a:2,b:4} (b,-)
w03 {a:2,b:4} (-)
w04 {a:2,b:4} (b,-)
w05 {a:8} (-))"},
      {"training: random 15006", 8, true, true,
       R"(x[64,64] w00[64,32] w01[64,32] w02[64,32] w03[64,32] w04[64,32]
0 = MatMul x w00 ((1,1),(1,8))
1 = Tanh 0
2 = MatMul.t 1 w01
3 = MatMul 2 w02
4 = ReLU 3
5 = MatMul.t 4 w03
6 = MatMul 5 w04)",
       R"(w00 {a:8} (-,a)
w01 {a:8} (-,a)
w02 {a:8} (-,a)
w03 {a:8} (-,a)
w04 {a:8} (-,a))"},
      {"training: random 15007", 8, true, false,
       R"(x[16,64] w00[64,128] w01[128] w02[128,32] w03[32] w04[32] w05[32,32]
0 = MatMul x w00
1 = Mul 0 w01
2 = MatMul 1 w02
3 = Add 2 w03
4 = Add 3 w04
5 = MatMul 4 w05 ((1,8),(8,1))
6 = Mul 4 5)",
       R"(w00 {a:8} (-,-)
w01 {a:8} (-)
w02 {a:8} (-,a)
w03 {a:8} (a)
w04 {a:8} (a)
w05 {a:8} (a,-))"},
      {"training: random 15009", 8, true, false,
       R"(x[64,32] w00[32] w01[128,32] w02[128,64] w03[64,128]
0 = Tanh x
1 = Add 0 w00
2 = MatMul.t 1 w01 ((4,1),(1,1))
3 = MatMul 2 w02
4 = MatMul 3 w03
5 = GeLU 4 ((4,2)))",
       R"(w00 {a:4,b:2} (-)
w01 {a:4,b:2} (-,-)
w02 {a:4,b:2} (-,b)
w03 {a:4,b:2} (b,-))"},
      {"training: random 15010", 8, true, true,
       R"(x[32,32] w00[32,64] w01[64] w02[64,128] w03[128,128] w04[128,32] w05[32,64]
0 = MatMul x w00
1 = Tanh 0
2 = Add 1 w01
3 = MatMul 2 w02 ((4,2),(2,1))
4 = MatMul 3 w03 ((4,2),(2,1))
5 = MatMul 4 w04
6 = MatMul 5 w05
7 = GeLU 6 ((2,4)))",
       R"(w00 {a:4,b:2} (-,b)
w01 {a:4,b:2} (b)
w02 {a:4,b:2} (b,-)
w03 {a:4,b:2} (b,-)
w04 {a:4,b:2} (-,b)
w05 {a:4,b:2} (b,-))"},
      {"training: random 15011", 8, true, false,
       R"(x[64,64] w00[64,32] w01[32,32] w02[32]
0 = ReLU x
1 = Mul 0 x
2 = MatMul 1 w00 ((1,4),(4,2))
3 = GeLU 2
4 = MatMul 3 w01
5 = Mul 3 4
6 = Mul 2 5
7 = Add 6 w02)",
       R"(w00 {a:4,b:2} (a,b)
w01 {a:4,b:2} (b,-)
w02 {a:4,b:2} (b))"},
      {"training: random 16002", 4, true, true,
       R"(x[32,64] w00[32,64] w01[32,128] w02[128] w03[128,64] w04[64,32] w05[32,64]
0 = MatMul.t x w00
1 = MatMul 0 w01 ((4,1),(1,1))
2 = Mul 1 w02
3 = MatMul 2 w03 ((1,1),(1,4))
4 = MatMul 3 w04 ((1,1),(1,4))
5 = ReLU 4
6 = MatMul 5 w05 ((1,1),(1,4)))",
       R"(w00 {a:4} (-,-)
w01 {a:4} (-,-)
w02 {a:4} (-)
w03 {a:4} (-,a)
w04 {a:4} (-,a)
w05 {a:4} (-,a))"},
      {"training: random 16004", 4, true, true,
       R"(x[16,32] w00[32,32] w01[32,32] w02[32,128]
0 = MatMul.t x w00 ((1,1),(4,1))
1 = MatMul 0 w01
2 = MatMul 1 w02
3 = GeLU 2)",
       R"(w00 {a:4} (a,-)
w01 {a:4} (a,-)
w02 {a:4} (-,a))"},
      {"training: attention 19001", 8, true, true,
       R"(x[64,32] w00[32] w01[32] w02[32,32] w03[32,32] w04[32,32] w05[32] w06[32,32]
0 = LayerNorm x w00 w01
1 = MatMul.t 0 w02 ((2,1),(4,1))
2 = Reshape 1 [8,8,8,4]
3 = Transpose 2 [0,2,1,3]
4 = MatMul 0 w03
5 = Reshape 4 [8,8,8,4]
6 = Transpose 5 [0,2,1,3]
7 = MatMul 0 w04
8 = Add 7 w05
9 = Reshape 8 [8,8,8,4]
10 = Transpose 9 [0,2,1,3]
11 = BatchMatMul.t 3 6
12 = Softmax 11
13 = BatchMatMul 12 10 ((1,2,4,1),(1,2,1,1))
14 = Transpose 13 [0,2,1,3]
15 = Reshape 14 [64,32]
16 = MatMul 15 w06
17 = Add x 16 ((2,1),(2,1)))",
       R"(w00 {a:2,b:4} (-)
w01 {a:2,b:4} (-)
w02 {a:2,b:4} (b,-)
w03 {a:2,b:4} (-,b)
w04 {a:2,b:4} (-,b)
w05 {a:2,b:4} (b)
w06 {a:2,b:4} (a,-))"},
      {"training: attention 19008", 8, true, true,
       R"(x[128,64] w00[64] w01[64] w02[64,64] w03[64] w04[64,64] w05[64,64] w06[64] w07[64,64]
0 = LayerNorm x w00 w01
1 = MatMul 0 w02
2 = Add 1 w03 ((1,4),(4))
3 = Reshape 2 [16,8,4,16]
4 = Transpose 3 [0,2,1,3]
5 = MatMul.t 0 w04 ((1,8),(1,8))
6 = Reshape 5 [16,8,4,16]
7 = Transpose 6 [0,2,1,3]
8 = MatMul.t 0 w05 ((2,4),(1,4))
9 = Add 8 w06 ((2,4),(4))
10 = Reshape 9 [16,8,4,16]
11 = Transpose 10 [0,2,1,3]
12 = BatchMatMul.t 4 7
13 = Softmax 12
14 = BatchMatMul 13 11
15 = Transpose 14 [0,2,1,3]
16 = Reshape 15 [128,64]
17 = MatMul.t 16 w07 ((2,1),(1,1))
18 = Add x 17)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:4,b:2} (-,a)
w03 {a:4,b:2} (a)
w04 {a:8} (-,a)
w05 {a:2,b:4} (-,b)
w06 {a:2,b:4} (b)
w07 {a:2,b:4} (-,-))"},
      {"training: attention 19010", 8, true, true,
       R"(x[64,32] w00[32] w01[32] w02[32,32] w03[32] w04[32,32] w05[32,32] w06[32] w07[32,32]
w08[32] w09[32] w10[32] w11[64,32] w12[64,32]
0 = LayerNorm x w00 w01 ((8,1),(1),(1))
1 = MatMul 0 w02 ((4,1),(1,2))
2 = Add 1 w03
3 = Reshape 2 [8,8,8,4]
4 = Transpose 3 [0,2,1,3]
5 = MatMul.t 0 w04 ((2,1),(2,1))
6 = Reshape 5 [8,8,8,4]
7 = Transpose 6 [0,2,1,3]
8 = MatMul.t 0 w05
9 = Add 8 w06 ((1,1),(1))
10 = Reshape 9 [8,8,8,4]
11 = Transpose 10 [0,2,1,3] ((1,1,8,1))
12 = BatchMatMul.t 4 7 ((4,1,2,1),(4,1,1,1))
13 = Softmax 12
14 = BatchMatMul 13 11
15 = Transpose 14 [0,2,1,3]
16 = Reshape 15 [64,32]
17 = MatMul 16 w07 ((2,4),(4,1))
18 = Add 17 w08 ((2,4),(4))
19 = Add 18 x
20 = LayerNorm 19 w09 w10
21 = MatMul.t 20 w11
22 = GeLU 21
23 = MatMul 22 w12 ((1,8),(8,1))
24 = Add 19 23)",
       R"(w00 {a:8} (-)
w01 {a:8} (-)
w02 {a:4,b:2} (-,b)
w03 {a:4,b:2} (b)
w04 {a:2,b:2,c:2} (b,-)
w05 {a:8} (-,-)
w06 {a:8} (-)
w07 {a:2,b:4} (b,-)
w08 {a:2,b:4} (b)
w09 {a:2,b:4} (-)
w10 {a:2,b:4} (-)
w11 {a:2,b:4} (b,-)
w12 {a:8} (a,-))"},
      {"training: attention 19011", 8, true, true,
       R"(x[128,64] w00[64,64] w01[64] w02[64,64] w03[64,64] w04[64,64] w05[64]
0 = MatMul x w00 ((8,1),(1,1))
1 = Add 0 w01
2 = Reshape 1 [16,8,4,16]
3 = Transpose 2 [0,2,1,3]
4 = MatMul x w02
5 = Reshape 4 [16,8,4,16]
6 = Transpose 5 [0,2,1,3]
7 = MatMul x w03 ((1,1),(1,8))
8 = Reshape 7 [16,8,4,16]
9 = Transpose 8 [0,2,1,3]
10 = BatchMatMul.t 3 6 ((2,1,2,1),(2,1,2,1))
11 = Softmax 10
12 = BatchMatMul 11 9 ((4,2,1,1),(4,2,1,1))
13 = Transpose 12 [0,2,1,3]
14 = Reshape 13 [128,64]
15 = MatMul 14 w04
16 = Add 15 w05
17 = Add x 16)",
       R"(w00 {a:8} (-,-)
w01 {a:8} (-)
w02 {a:2,b:4} (-,-)
w03 {a:8} (-,a)
w04 {a:4,b:2} (b,-)
w05 {a:4,b:2} (-))"},
      {"a table with cut rows and cut indices gives sums that are not scattered", 8, false, true,
       R"(x[16] w0[64,32] w1[32,64] w2[64]
0 = Gather w0 x ((4,1),(2))
1 = ReLU 0
2 = MatMul 1 w1
3 = Add 2 w2)",
       R"(w0 {a:2,b:4} (b,-)
w1 {a:2,b:4} (-,b)
w2 {a:2,b:4} (b))"},
      {"a table with cut rows and whole indices gives scattered sums", 8, false, true,
       R"(x[16] w0[64,32] w1[32,64] w2[64]
0 = Gather w0 x ((8,1),(1))
1 = ReLU 0
2 = MatMul 1 w1
3 = Add 2 w2)",
       R"(w0 {a:8} (a,-)
w1 {a:8} (-,-)
w2 {a:8} (-))"},
      {"training: a table with cut rows and cut indices", 8, true, true,
       R"(x[16] w0[64,32] w1[32,64] w2[64]
0 = Gather w0 x ((4,1),(2))
1 = ReLU 0
2 = MatMul 1 w1
3 = Add 2 w2)",
       R"(w0 {a:2,b:4} (b,-)
w1 {a:2,b:4} (-,b)
w2 {a:2,b:4} (b))"},
};
// clang-format on

}  // namespace relayout
