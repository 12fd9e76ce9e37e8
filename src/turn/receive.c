/*
 * receive.c
 *		Waiting for the next signal of a name, which is no command.
 *
 * Asking for the next signal records nothing, so a receiver is not among the commands of the turn.
 * It gets the next signal of its name that the code has not consumed, and consuming one is no event
 * either: signals are counted while the code is executed.  At each await, the signals that are
 * there are offered to the receivers among the awaited commands, in order, one to each; only the
 * receiver that answers the await consumes.  So a receiver that loses a race consumes nothing, and
 * what it gets depends on the order of recorded events alone.
 */
#include "postgres.h"

#include "history/received.h"
#include "turn/receive.h"

/* The progress of this turn with the signals of one name. */
struct ReceivedState
{
	Received *received; /* NULL: nothing is known */
	int consumed;
	int offered; /* those, and the ones offered in this round */
	int round;
};

/* The event that settles a receiver that was cancelled: before all events of history. */
static Event cancelled;

static ReceivedState *receive_state_of(Turn *turn, Received *received);

/*
 * Makes a receiver.  One with a handle can be referred to later.
 */
Command *
aion_receiver_create(Turn *turn, const CommandClass *class, const char *name, bool has_handle)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	Command *receiver = palloc0(sizeof(Command));

	receiver->class = class;
	receiver->received = aion_received(turn->run->history, name);
	receiver->fingerprint.name = receiver->received->name;
	if (has_handle)
	{
		turn->receivers = lappend(turn->receivers, receiver);
		receiver->number = list_length(turn->receivers);
	}
	MemoryContextSwitchTo(caller);
	return receiver;
}

/*
 * Offers the signals that the code has not consumed to the receivers among the awaited commands.
 */
void
aion_receivers_offer(Turn *turn, Command **commands, int count)
{
	int round = ++turn->rounds;

	for (int i = 0; i < count; i++)
	{
		Command *receiver = commands[i];
		ReceivedState *state;

		if (receiver->received == NULL || receiver->consumed ||
			aion_receiver_is_cancelled(receiver) || receiver->round == round)
			continue;
		receiver->round = round;
		state = receive_state_of(turn, receiver->received);
		if (state->round != round)
			state->offered = state->consumed;
		state->round = round;
		receiver->offered = state->offered < receiver->received->count
								? receiver->received->events[state->offered++]
								: NULL;
	}
}

/*
 * Tells whether the signal offered to a receiver was there when the turn that first came to this
 * point began.  If not, that turn has given a command instead, which is recorded before the signal.
 */
bool
aion_receiver_is_first(const Turn *turn, const Command *receiver)
{
	const RecordedCommand *next = aion_turn_next_recorded(turn);

	return receiver->offered != NULL && (next == NULL || receiver->offered->seq < next->event->seq);
}

/*
 * Consumes what a receiver was offered; from now on that is its outcome.
 */
void
aion_receiver_consume(Turn *turn, Command *receiver)
{
	if (receiver->consumed || aion_receiver_is_cancelled(receiver))
		return;
	Assert(receiver->offered != NULL);
	receiver->consumed = true;
	receive_state_of(turn, receiver->received)->consumed++;
	turn->received = receiver->offered;
}

/*
 * Cancels a receiver; returns the state it was in.
 */
const char *
aion_receiver_cancel(Command *receiver)
{
	if (receiver->consumed)
		return "completed";
	if (aion_receiver_is_cancelled(receiver))
		return "cancelled";
	receiver->offered = &cancelled;
	return "pending";
}

bool
aion_receiver_is_cancelled(const Command *receiver)
{
	return receiver->offered == &cancelled;
}

/*
 * Notes in the history how many signals the code has consumed, once that is certain.
 */
void
aion_receivers_keep(const Turn *turn)
{
	for (int i = 0; i < turn->received_room; i++)
	{
		if (turn->received_states[i].received != NULL)
			turn->received_states[i].received->read = turn->received_states[i].consumed;
	}
}

static ReceivedState *
receive_state_of(Turn *turn, Received *received)
{
	ReceivedState *state;

	if (received->index >= turn->received_room)
	{
		int room = Max(8, received->index * 2);

		if (turn->received_states == NULL)
			turn->received_states =
				MemoryContextAllocZero(turn->context, room * sizeof(ReceivedState));
		else
		{
			turn->received_states =
				repalloc_huge(turn->received_states, room * sizeof(ReceivedState));
			memset(turn->received_states + turn->received_room, 0,
				   (room - turn->received_room) * sizeof(ReceivedState));
		}
		turn->received_room = room;
	}
	state = &turn->received_states[received->index];
	state->received = received;
	return state;
}
