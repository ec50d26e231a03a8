// SPDX-License-Identifier: Apache-2.0
#include "relayout/train/callback.h"
