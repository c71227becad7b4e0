################################################################################
#
# testbed-pagegen
#
################################################################################

TESTBED_PAGEGEN_SITE = $(BR2_EXTERNAL_TESTBED_PATH)/../testbed/workload
TESTBED_PAGEGEN_SITE_METHOD = local
TESTBED_PAGEGEN_LICENSE = MIT

define TESTBED_PAGEGEN_BUILD_CMDS
	$(TARGET_CC) $(TARGET_CFLAGS) $(TARGET_LDFLAGS) -o $(@D)/pagegen $(@D)/*.c
endef

define TESTBED_PAGEGEN_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/pagegen $(TARGET_DIR)/usr/bin/pagegen
endef

$(eval $(generic-package))
