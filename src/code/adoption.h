/*
 * adoption.h
 *		Copies of a database execute nothing until they are adopted.
 */
#ifndef AION_ADOPTION_H
#define AION_ADOPTION_H

typedef enum AdoptionState
{
	ADOPTION_NEW, /* nothing was ever registered or started here */
	ADOPTION_DONE,
	ADOPTION_COPY /* made from a database that was adopted elsewhere */
} AdoptionState;

extern void aion_adoption_init(void);

/* These need the engine's authority. */
extern bool aion_engine_is_paused(void);
extern void aion_engine_forget_pause(void);
extern AdoptionState aion_adoption_state(void);
extern void aion_adopt_if_new(void);
extern bool aion_adoption_require(void);
extern bool aion_engine_executes(void);
extern bool aion_adoption_is_of_this_server(void);
extern bool aion_adopt(void);
extern void aion_engine_set_paused(bool paused, const char *by);

#endif
