/*
 * statement.h
 *		The engine's own SQL: fixed text, typed parameters, prepared once per backend.
 */
#ifndef AION_STATEMENT_H
#define AION_STATEMENT_H

#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define STATEMENT_MAX_ARGS 16
#define STATEMENT_MAX_TABLES 8

typedef struct Statement
{
	int expected; /* SPI_OK_... that it must answer */
	const char *text;
	Oid argtypes[STATEMENT_MAX_ARGS + 1]; /* as many as it has parameters, then InvalidOid */
	bool by_bitmap;						  /* uses an index that can be scanned in no other way */
	bool latest; /* sees what has committed by now, whatever snapshot the transaction has */
	int nargs;	 /* counted when it is prepared */
	SPIPlanPtr plan;
	int table_count; /* of the engine, that it reads or writes */
	Oid tables[STATEMENT_MAX_TABLES];
} Statement;

/* What it does (SELECT, INSERT, DELETE_RETURNING, ...), its text, the types of its parameters. */
#define STATEMENT(kind, sql, ...)                                                                  \
	{                                                                                              \
		.expected = SPI_OK_##kind, .text = (sql), .argtypes = { __VA_ARGS__ }                      \
	}

/* What a statement answered: valid until the authority under which it was executed is dropped. */
typedef struct Rows
{
	uint64 count; /* of rows returned or, if it returns none, changed */
	SPITupleTable *table;
} Rows;

/* Arguments in the order of $1, $2, ...; the array has as many as the statement. */
extern void aion_statement_init(void);
extern Rows aion_statement_execute(Statement *statement, const NullableDatum *args);

/* Columns count from 1, rows from 0. */
extern bool aion_row_isnull(Rows rows, uint64 row, int column);
extern int64 aion_row_int64(Rows rows, uint64 row, int column);
extern int32 aion_row_int32(Rows rows, uint64 row, int column);
extern bool aion_row_bool(Rows rows, uint64 row, int column);
extern double aion_row_float8(Rows rows, uint64 row, int column);
extern Oid aion_row_oid(Rows rows, uint64 row, int column);
extern TimestampTz aion_row_timestamp(Rows rows, uint64 row, int column); /* DT_NOEND for null */
extern char *aion_row_text(Rows rows, uint64 row, int column);			  /* NULL for null */
extern Interval *aion_row_interval(Rows rows, uint64 row, int column);	  /* NULL for null */
extern Jsonb *aion_row_jsonb(Rows rows, uint64 row, int column);		  /* NULL for null */
extern pg_uuid_t aion_row_uuid(Rows rows, uint64 row, int column);

static inline NullableDatum
aion_arg(Datum value)
{
	return (NullableDatum){value, false};
}

static inline NullableDatum
aion_arg_null(void)
{
	return (NullableDatum){(Datum) 0, true};
}

#define aion_arg_int64(v) aion_arg(Int64GetDatum(v))
#define aion_arg_int32(v) aion_arg(Int32GetDatum(v))
#define aion_arg_bool(v) aion_arg(BoolGetDatum(v))
#define aion_arg_oid(v) aion_arg(ObjectIdGetDatum(v))

extern NullableDatum aion_arg_key(int64 key);		   /* 0 gives null */
extern NullableDatum aion_arg_text(const char *value); /* NULL gives null */
extern NullableDatum aion_arg_int64_array(const int64 *values, int count);
extern NullableDatum aion_arg_jsonb(const Jsonb *value);	   /* NULL gives null */
extern NullableDatum aion_arg_interval(const Interval *value); /* NULL gives null */
extern NullableDatum aion_arg_timestamp(TimestampTz value);	   /* DT_NOEND gives null */

#endif
