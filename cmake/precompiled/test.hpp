// The same for test programs.
#pragma once

#include "library.hpp"

#include <gtest/gtest.h>

#include <gmock/gmock.h>
