# SPDX-License-Identifier: Apache-2.0
"""Programs that run inside another converter's environment. Each does one job, and its last line of
output is how many seconds the converter's own call took."""
