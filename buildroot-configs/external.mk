################################################################################
#
# The guest kernel: what a defconfig cannot say of it
#
################################################################################

include $(sort $(wildcard $(BR2_EXTERNAL_TESTBED_PATH)/package/*/*.mk))

ifeq ($(BR2_LINUX_KERNEL_DEFCONFIG),"allno")
# The fragments are meant over Kconfig's own allnoconfig, as the testbed has it too.
LINUX_KCONFIG_DEFCONFIG = allnoconfig

# dpkg has checked Debian's source, which changes with every point release.
$(LINUX_DIR)/.stamp_downloaded: BR2_DOWNLOAD_FORCE_CHECK_HASHES =
endif
