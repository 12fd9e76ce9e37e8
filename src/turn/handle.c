/*
 * handle.c
 *		Handles: the text by which workflow code refers to commands and receivers.
 *
 * A handle is given to the code and comes back from it, so it may be any text: only a handle that
 * was given is accepted.
 */
#include "postgres.h"

#include "support/errors.h"
#include "turn/turn.h"

/*
 * Returns the text by which code refers to a command: its kind, number and name.
 */
char *
aion_turn_handle(const Command *command)
{
	return psprintf("%s:%d:%s", command->class->awaiting, command->number,
					command->fingerprint.name);
}

/*
 * Finds the command that a handle of this run stands for.
 */
Command *
aion_turn_command_of(Turn *turn, const char *handle)
{
	const char *colon = handle != NULL ? strchr(handle, ':') : NULL;
	int number = colon != NULL ? atoi(colon + 1) : 0;
	Command *either[2] = {NULL, NULL};

	if (number >= 1 && number <= turn->command_count)
		either[0] = turn->commands[number - 1];
	if (number >= 1 && number <= list_length(turn->receivers))
		either[1] = list_nth(turn->receivers, number - 1);
	for (int i = 0; i < 2; i++)
	{
		if (either[i] != NULL && either[i]->class->has_handle &&
			strcmp(aion_turn_handle(either[i]), handle) == 0)
			return either[i];
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("\"%s\" is not a handle of this run", handle != NULL ? handle : "NULL"),
					errhint("Handles come from functions like aion.start_timer().")));
}
