# SPDX-License-Identifier: GPL-2.0-only
# The version of everything here: module, library, command line tool.
VERSION := 0.1.0
