// With SPDKIO_BOOST_ASIO: the same tests, the same names, another Asio.
#include "adapters/asio_test.cpp"  // NOLINT(bugprone-suspicious-include)
