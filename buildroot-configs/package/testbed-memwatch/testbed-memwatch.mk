################################################################################
#
# testbed-memwatch
#
################################################################################

TESTBED_MEMWATCH_SITE = $(BR2_EXTERNAL_TESTBED_PATH)/../testbed/memwatch
TESTBED_MEMWATCH_SITE_METHOD = local
TESTBED_MEMWATCH_LICENSE = MIT

define TESTBED_MEMWATCH_BUILD_CMDS
	$(TARGET_CC) $(TARGET_CFLAGS) $(TARGET_LDFLAGS) -o $(@D)/memwatch $(@D)/*.c
endef

define TESTBED_MEMWATCH_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/memwatch $(TARGET_DIR)/usr/bin/memwatch
endef

$(eval $(generic-package))
