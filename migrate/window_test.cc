// Windows: what is one, and when it is open.
#include "migrate/window.h"

#include <gtest/gtest.h>

namespace relais::migrate {
namespace {

TEST(Window, IsOpen) {
  struct Row {
    const char* window;
    std::uint16_t minute;
    bool open;
  };
  for (const auto& row :
       {Row{"", 0, true}, Row{"", 1'439, true}, Row{"01:00-06:00", 59, false}, Row{"01:00-06:00", 60, true}, Row{"01:00-06:00", 359, true},
        Row{"01:00-06:00", 360, false}, Row{"22:00-04:30", 1'320, true}, Row{"22:00-04:30", 0, true}, Row{"22:00-04:30", 269, true},
        Row{"22:00-04:30", 270, false}, Row{"22:00-04:30", 720, false}, Row{"23:30-24:00", 1'439, true}, Row{"23:30-24:00", 0, false},
        Row{"00:00-24:00", 700, true}}) {
    const auto window = Window::parse(row.window);
    ASSERT_TRUE(window) << row.window;
    EXPECT_EQ(window->is_open(row.minute), row.open) << row.window << " at " << row.minute;
  }
}

TEST(Window, WhatIsNone) {
  for (const auto* text : {"1:00-6:00", "01:00", "01:00-", "-06:00", "01:00-01:00", "01:60-02:00", "24:01-25:00", "24:00-01:00",
                           "ab:cd-ef:gh", "01:00-06:00 ", "01.00-06.00"}) {
    const auto window = Window::parse(text);
    ASSERT_FALSE(window) << text;
    EXPECT_EQ(window.error().fault, Fault::syntax);
  }
}

}  // namespace
}  // namespace relais::migrate
