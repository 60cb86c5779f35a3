# ibinderfs.bash: completion for ibinderfs(1): options, settings after -o, sections, directories.
# shellcheck shell=bash

# The sections of the configuration file that would be read.
_ibinderfs_sections() {
	local file
	for file in "${XDG_CONFIG_HOME:-$HOME/.config}/ibinderfs/config" /etc/ibinderfs/config; do
		if [[ -e $file ]]; then
			sed -n 's/^[[:space:]]*\[\([^]]*\)\].*/\1/p' "$file" 2>/dev/null
			return
		fi
	done
}

# What may follow the last comma after -o.
_ibinderfs_settings() {
	local settings='provider= tenant_id= client_id= client_secret_file= api_url= auth_url=
		subfolders_path= api_key= secret_file= domain= domain_key_field= answer_attribute=
		ttl= stale= timeout= connections= page_size= memory= content= sizes=
		ca_file= proxy= log_level= log= uid= gid= umask= allow_other allow_root config='
	local done_part='' last=$1

	if [[ $last == *,* ]]; then
		done_part=${last%,*},
		last=${last##*,}
	fi
	case $last in
	provider=*) settings='provider=ibinder provider=inbenta' ;;
	log_level=*) settings='log_level=error log_level=warning log_level=info log_level=debug' ;;
	log=*) settings='log=stderr log=syslog' ;;
	content=*) settings='content=on content=off' ;;
	sizes=*) settings='sizes=lazy sizes=exact' ;;
	uid=*) settings=$(compgen -u -P uid=) ;;
	gid=*) settings=$(compgen -g -P gid=) ;;
	*_file=* | config=*) settings=$(compgen -f -P "${last%%=*}=" -- "${last#*=}") ;;
	esac
	mapfile -t COMPREPLY < <(compgen -P "$done_part" -W "$settings" -- "$last")
	[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

_ibinderfs() {
	# '=' splits words for bash but not for us: take the word as typed.
	local line=${COMP_LINE:0:COMP_POINT}
	local word=${line##*[[:space:]]}
	local before=${line%"$word"}

	if [[ $before =~ [[:space:]]-o[[:space:]]+$ ]]; then
		_ibinderfs_settings "$word"
		# bash replaces only what follows the last '='.
		if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then
			COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}")
		fi
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-f -o --check --demo --help --version' -- "$word")
	else
		mapfile -t COMPREPLY < <(
			compgen -W "$(_ibinderfs_sections)" -- "$word"
			compgen -d -- "$word"
		)
	fi
}

complete -o filenames -F _ibinderfs ibinderfs
