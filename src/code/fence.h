/*
 * fence.h
 *		Copies of a database execute nothing until somebody adopts them.
 */
#ifndef AION_FENCE_H
#define AION_FENCE_H

typedef enum FenceState
{
	FENCE_VIRGIN, /* nothing was ever registered or started here */
	FENCE_ADOPTED,
	FENCE_COPY /* made from a database that was adopted elsewhere */
} FenceState;

extern void aion_fence_init(void);

/* These want the engine's authority. */
extern bool aion_fence_is_paused(void);
extern void aion_fence_look_again(void);
extern FenceState aion_fence_state(void);
extern void aion_fence_settle(void);
extern bool aion_fence_require_adopted(void);
extern bool aion_fence_executes(void);

#endif
