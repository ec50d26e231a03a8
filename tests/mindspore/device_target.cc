// SPDX-License-Identifier: Apache-2.0
//
// Test support for frontend.py: MindSpore built for CPUs refuses automatic parallelism at its door,
// by the name of the device target. This changes the name where the process keeps it, so that the
// compiler's frontend runs; what needs the device itself comes later and is not wanted here.
//
// MindSpore's libraries have the C++ ABI from before 2011: frontend.py says which flags to use.
#include <dlfcn.h>

#include <memory>
#include <string>

// `library`: libmindspore_core.so, already loaded. `parameter`: which of the context's parameters
// is the device target. 0, or what was not found.
extern "C" int SetDeviceTarget(const char* library, int parameter, const char* target) {
  using Instance = std::shared_ptr<void> (*)();
  using Text = const std::string& (*)(const void*, int);
  void* const core = dlopen(library, RTLD_NOLOAD | RTLD_LAZY);
  if (core == nullptr) {
    return 1;
  }
  const auto instance =
      reinterpret_cast<Instance>(dlsym(core, "_ZN9mindspore9MsContext11GetInstanceEv"));
  const auto text = reinterpret_cast<Text>(
      dlsym(core, "_ZNK9mindspore9MsContext9get_paramISsEERKT_NS_10MsCtxParamE"));
  if (instance == nullptr || text == nullptr) {
    return 2;
  }
  const std::shared_ptr<void> context = instance();
  const_cast<std::string&>(text(context.get(), parameter)) = target;
  return 0;
}
