/*
 * aion.c
 *		Durable workflows inside PostgreSQL: what happens when the library is loaded.
 */
#include "postgres.h"

#include "fmgr.h"

#include "background/launcher.h"
#include "background/lifecycle.h"
#include "code/adoption.h"
#include "code/definition.h"
#include "code/divergence.h"
#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "primitives/primitives.h"
#include "run/count.h"
#include "run/touched.h"
#include "shared/board.h"
#include "shared/incident.h"
#include "shared/interruption.h"
#include "shared/pace.h"
#include "shared/pollers.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/statement.h"
#include "turn/progress.h"

PG_MODULE_MAGIC;

/*
 * What workflows can do, in the order in which each is asked.  What they append to a history at the
 * same time, as when a run ends, is in this order.
 */
static const Primitive *const primitives[] = {
	&aion_timer_primitive,		&aion_schedule_primitive, &aion_signal_primitive,
	&aion_search_primitive,		&aion_query_primitive,	  &aion_parent_primitive,
	&aion_deadline_primitive,	&aion_child_primitive,	  &aion_cancel_primitive,
	&aion_background_primitive, &aion_activity_primitive, NULL};

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
	aion_clock_init();
	aion_statement_init();
	aion_guard_init();
	aion_divergence_init(aion_turn_diverge);
	aion_owner_init();
	aion_definition_init();
	aion_adoption_init();
	aion_touched_init();
	aion_count_init();
	aion_primitives_init(primitives);
	aion_lifecycle_init();
	aion_launcher_register();
}
