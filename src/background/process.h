/*
 * process.h
 *		What the engine's processes have in common: how they begin, wait, and use transactions.
 */
#ifndef AION_PROCESS_H
#define AION_PROCESS_H

#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"

/* Entry points, by name. */
#define LAUNCHER_MAIN "aion_launcher_main"
#define SCHEDULER_MAIN "aion_scheduler_main"
#define RUNNER_MAIN "aion_runner_main"

extern void aion_process_describe(BackgroundWorker *worker, const char *type, const char *main);
extern void aion_process_begin(void);
extern bool aion_process_reload(void);
extern void aion_process_pin_settings(void);
extern void aion_process_serve_one_version(void);
extern void aion_process_begin_work(const char *activity);
extern void aion_process_end_work(void);
extern void aion_process_fail_work(ErrorData **error);

/* Both tell whether the settings were read again. */
extern bool aion_process_wait(long milliseconds);
extern bool aion_process_wait_until(TimestampTz moment);

extern bool aion_process_is_due(TimestampTz moment, int milliseconds);

#endif
