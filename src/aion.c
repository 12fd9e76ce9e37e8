/*
 * aion.c
 *		Durable workflows inside PostgreSQL: what happens when the library is loaded.
 */
#include "postgres.h"

#include "fmgr.h"

#include "background/launcher.h"
#include "background/lifecycle.h"
#include "engine/definition.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/owner.h"
#include "engine/primitive.h"
#include "engine/testing.h"
#include "engine/wait.h"
#include "guc.h"
#include "support/board.h"
#include "support/incident.h"
#include "support/interruption.h"
#include "support/pace.h"
#include "support/pollers.h"
#include "support/statement.h"
#include "support/wakeup.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void
_PG_init(void)
{
	aion_guc_define();
	aion_board_init();
	aion_wakeup_init();
	aion_interruption_init();
	aion_pace_init();
	aion_pollers_init();
	aion_incident_init();
	aion_statement_init();
	aion_guard_init();
	aion_owner_init();
	aion_definition_init();
	aion_fence_init();
	aion_wait_init();
	aion_testing_init();
	aion_primitives_init();
	aion_lifecycle_init();
	aion_launcher_register();
}
