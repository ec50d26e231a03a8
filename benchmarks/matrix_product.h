// SPDX-License-Identifier: Apache-2.0
//
// The matrix products that kernel_bench times: c[m,n] = a[m,k] b[k,n], `batch` of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relayout {

struct MatrixProduct {
  std::string name;
  int64_t batch = 1;
  int64_t m = 0;
  int64_t k = 0;
  int64_t n = 0;
  bool transpose_a = false;  // Stored as [k,m].
  bool transpose_b = false;  // Stored as [n,k].
};

// y = x w with x[rows,in] and w[in,out], and what its backward needs: dx = dy wᵀ and dw = xᵀ dy.
inline void AddDense(const std::string& name, int64_t rows, int64_t in, int64_t out,
                     std::vector<MatrixProduct>& products) {
  products.push_back({name + ".y", 1, rows, in, out, false, false});
  products.push_back({name + ".dx", 1, rows, out, in, false, true});
  products.push_back({name + ".dw", 1, in, rows, out, true, false});
}

inline std::vector<MatrixProduct> BenchmarkProducts() {
  std::vector<MatrixProduct> products;
  for (const int64_t rows : {32, 256}) {
    const std::string name = "tutorial." + std::to_string(rows) + ".layer";
    AddDense(name + "1", rows, 784, 512, products);
    AddDense(name + "2", rows, 512, 512, products);
    AddDense(name + "3", rows, 512, 10, products);
  }
  AddDense("gpt.qkv", 2048, 512, 1536, products);
  AddDense("gpt.up", 2048, 512, 2048, products);
  AddDense("gpt.down", 2048, 2048, 512, products);
  products.push_back({"gpt.scores", 128, 128, 64, 128, false, true});
  products.push_back({"gpt.context", 128, 128, 128, 64, false, false});
  return products;
}

}  // namespace relayout
