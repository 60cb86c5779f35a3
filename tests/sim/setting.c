/* See setting.h. */
#include "setting.h"
#include "text.h"

#include <errno.h>
#include <string.h>

const struct setting *setting_find(const struct setting *table, const char *name)
{
	while (table->name && strcmp(table->name, name))
		table++;
	return table->name ? table : NULL;
}

static int setting_set_number(const struct setting *setting, uint64_t *field, const char *value)
{
	uint64_t number;

	if (text_parse_number(value, setting->max, &number) || number < setting->min)
		return -EINVAL;
	*field = number;
	return 0;
}

static int setting_set_switch(bool *field, const char *value)
{
	bool yes = !strcmp(value, "true") || !strcmp(value, "on");

	if (!yes && strcmp(value, "false") && strcmp(value, "off"))
		return -EINVAL;
	*field = yes;
	return 0;
}

static int setting_set_word(const struct setting *setting, unsigned int *field, const char *value)
{
	for (unsigned int i = 0; setting->words[i]; i++) {
		if (strcmp(setting->words[i], value))
			continue;
		*field = i;
		return 0;
	}
	return -EINVAL;
}

static int setting_set_text(const struct setting *setting, char *field, const char *value)
{
	size_t n = strlen(value);

	if (n >= setting->max)
		return -EINVAL;
	memcpy(field, value, n + 1);
	return 0;
}

int setting_set(const struct setting *setting, void *base, const char *value)
{
	void *field = (char *)base + setting->offset;

	switch (setting->kind) {
	case SETTING_NUMBER:
		return setting_set_number(setting, field, value);
	case SETTING_FLAG:
	case SETTING_SWITCH:
		return setting_set_switch(field, value);
	case SETTING_WORD:
		return setting_set_word(setting, field, value);
	case SETTING_TEXT:
		return setting_set_text(setting, field, value);
	}
	return -EINVAL;
}
