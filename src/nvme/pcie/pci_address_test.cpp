#include "nvme/pcie/pci_address.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace spdkio::nvme::pcie {
namespace {

namespace fs = std::filesystem;

TEST(PciAddress, ReadsBothForms) {
  const auto full = PciAddress::parse("0001:02:1f.7");
  ASSERT_TRUE(full);
  EXPECT_EQ(*full, (PciAddress{.domain = 1, .bus = 2, .device = 31, .function = 7}));
  const auto brief = PciAddress::parse("5e:00.0");
  ASSERT_TRUE(brief);
  EXPECT_EQ(brief->to_string(), "0000:5e:00.0");
  // Domains of virtual machines and of VMD have more than four digits.
  EXPECT_EQ(PciAddress::parse("10000:01:00.0")->to_string(), "10000:01:00.0");
}

TEST(PciAddress, RefusesWhatIsNone) {
  for (const char* text :
       {"", "1", "00:00", "0000:00:00", "00:20.0", "00:00.8", "0000:00:00.0 ", " 00:00.0", "000:00:00.0",
        "0000:100:00.0", "00:00.0.0", "0000:00:00:00.0", "gg:00.0", "-1:00.0", "192.0.2.1"}) {
    EXPECT_FALSE(PciAddress::parse(text)) << text;
  }
}

/// A tree as sysfs has it.
class PciBusTest : public testing::Test {
 protected:
  PciBusTest() {
    std::string name = (fs::temp_directory_path() / "spdkio-pci-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~PciBusTest() override { fs::remove_all(root_); }

  fs::path add(const std::string& address, const std::string& pci_class) {
    const fs::path device = root_ / "bus/pci/devices" / address;
    fs::create_directories(device);
    std::ofstream(device / "class") << pci_class << "\n";
    return device;
  }
  PciBus bus() const { return PciBus(root_.string()); }
  const PciAddress nvme_{.domain = 0, .bus = 1, .device = 0, .function = 0};
  fs::path root_;
};

TEST_F(PciBusTest, FindsNvmeControllers) {
  add("0000:02:00.0", "0x010802");
  add("0000:01:00.0", "0x010802");
  add("0000:00:1f.2", "0x010601");
  const auto found = bus().nvme_functions();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], nvme_);
  EXPECT_EQ(found[1].bus, 2);
  EXPECT_TRUE(PciBus("/nonexistent").nvme_functions().empty());
}

TEST_F(PciBusTest, SaysWhoHasIt) {
  EXPECT_FALSE(bus().exists(nvme_));
  const fs::path device = add("0000:01:00.0", "0x010802");
  EXPECT_TRUE(bus().exists(nvme_));
  EXPECT_EQ(bus().driver(nvme_), "");
  EXPECT_FALSE(bus().iommu_group(nvme_));
  EXPECT_EQ(bus().vfio_device(nvme_), "");

  fs::create_directory_symlink("../../drivers/vfio-pci", device / "driver");
  fs::create_directory_symlink("../../../kernel/iommu_groups/12", device / "iommu_group");
  fs::create_directories(device / "vfio-dev/vfio3");
  EXPECT_EQ(bus().driver(nvme_), "vfio-pci");
  ASSERT_TRUE(bus().iommu_group(nvme_));
  EXPECT_EQ(bus().iommu_group(nvme_)->number, 12);
  EXPECT_FALSE(bus().iommu_group(nvme_)->no_iommu);
  EXPECT_EQ(bus().vfio_device(nvme_), "vfio3");

  fs::create_directories(root_ / "kernel/iommu_groups/12");
  std::ofstream(root_ / "kernel/iommu_groups/12/name") << "vfio-noiommu\n";
  EXPECT_TRUE(bus().iommu_group(nvme_)->no_iommu);
}

}  // namespace
}  // namespace spdkio::nvme::pcie
