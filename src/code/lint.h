/*
 * lint.h
 *		What can be said of workflow code without executing it.
 */
#ifndef AION_LINT_H
#define AION_LINT_H

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/hsearch.h"

typedef enum LintSeverity
{
	LINT_NOTICE,  /* cannot be looked at, or is a matter of taste */
	LINT_WARNING, /* is wrong in most cases */
	LINT_ERROR	  /* is an error where it is executed */
} LintSeverity;

typedef struct LintFinding
{
	int line;
	LintSeverity severity;
	const char *code;
	const char *message;
	const char *hint;
	const char *called; /* the function that does it, NULL if it is the code itself */
} LintFinding;

/* The text of a function, and where its lines begin. */
typedef struct LintSource
{
	const char *text;
	const char **lines;
	int count;
} LintSource;

/* Codes of findings that several files make. */
#define LINT_NONDETERMINISTIC "nondeterministic"
#define LINT_CHANGE "change"

/* What a statement calls. */
#define CALLS_WAIT 0x01			/* suspends the code */
#define CALLS_COMMAND 0x02		/* asks aion for something */
#define CALLS_HANDLE 0x04		/* returns a handle that must be awaited */
#define CALLS_CONTINUE 0x08		/* goes on as a new run */
#define CALLS_CANCEL 0x10		/* ends a timer, among others */
#define CALLS_UNKNOWN 0x20		/* a function that is not looked into */
#define CALLS_CLASSIFIER 0x40	/* asks what an error is */
#define CALLS_CHILD_HANDLE 0x80 /* returns the handle of a child, which goes on by itself */
#define CALLS_TIMER 0x100		/* the handle is that of a timer */

/* A function while it is looked at. */
typedef struct Lint
{
	LintSource source;
	int line;			/* of the statement */
	int offset;			/* of what is looked at in that statement, in lines */
	const char *text;	/* of the expression or statement of SQL */
	int place;			/* in that text, up to which its lines were counted */
	List *findings;		/* of LintFinding */
	const char *called; /* the function that is looked into, NULL if it is the code itself */
	List *callees;		/* of Callee: functions of users */
	int depth;			/* of calls */
	int calls;			/* flags */
	List *timers;		/* names of timers that the statement starts */
	List *cancelled;	/* names of timers that are cancelled */
	bool cancels_any;	/* by a name that is not known */
	HTAB *names;		/* of variables that are read */
	List *common;		/* names of WITH queries */
	int rows;			/* 1 or more where rows decide how often something is called */
	int conditional;	/* 1 or more where an expression decides whether it is called */
} Lint;

extern void aion_lint_add(Lint *lint, LintSeverity severity, const char *code, const char *hint,
						  char *message);
extern void aion_lint_note(Lint *lint, const LintFinding *finding);
extern void aion_lint_difference(Lint *lint, LintSeverity severity, const char *hint, char *what);
extern void aion_lint_place(Lint *lint, int location);
extern void aion_lint_call(Lint *lint, const FuncCall *call, bool is_procedure);
extern bool aion_lint_function_call(Oid function, void *lint);
extern FuncCandidateList aion_lint_candidates(const FuncCall *call, bool is_procedure);
extern void aion_lint_begin(Lint *lint, Oid function);
extern void aion_lint_function(Lint *lint, Oid function);
extern void aion_lint_text(Lint *lint, const char *text, RawParseMode mode);
extern int aion_lint_root(Lint *lint, const char *text, RawParseMode mode);
extern void aion_lint_queries(Lint *lint, Node *queries);
extern void aion_lint_plpgsql(Lint *lint, Oid function);

extern void aion_lint_report(Oid function, bool may_refuse);

#endif
