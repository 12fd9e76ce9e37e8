/*
 * code.h
 *		Pinned code: private copies of handlers, and the settings they are read under.
 */
#ifndef AION_CODE_H
#define AION_CODE_H

#include "utils/jsonb.h"

/* A setting that decides how the code of a version reads. */
typedef struct CodeSetting
{
	const char *name;
	const char *value;
} CodeSetting;

#define CODE_SETTINGS 5

typedef struct CodeSettings
{
	int count;
	CodeSetting setting[CODE_SETTINGS + 4]; /* room for more where texts are made */
} CodeSettings;

/* These need the engine's authority. */
extern bool aion_code_is_copyable(Oid function);
extern char *aion_code_copy(Oid function, const char *digest);
extern Oid aion_code_resolve(const char *signature, bool copied);
extern void aion_code_adopt(void);

/* These do not. */
extern char *aion_code_digest(Oid function);
extern void aion_code_capture_settings(Oid function, CodeSettings *settings);
extern Jsonb *aion_code_settings_to_json(const CodeSettings *settings);
extern void aion_code_settings_from_json(const Jsonb *json, CodeSettings *settings);
extern int aion_code_enter_settings(const CodeSettings *settings);
extern int aion_code_enter_settings_over(const CodeSettings *below, const CodeSettings *settings);
extern void aion_code_leave_settings(int level);
extern const char *aion_code_compare_settings(const CodeSettings *then, const CodeSettings *now);

#endif
